"""The right to work on a job, held by one attempt at a time."""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from songbloom.serve.database import exclusive, jobs
from songbloom.serve.records import PENDING, PROCESSING, UNFINISHED, Job, JobProgress


class Superseded(Exception):
    """Another attempt has taken the job, or it is gone."""


@dataclass(frozen=True)
class Claim:
    """A job that is ours until ``run`` is replaced in its row. Methods raise SQLAlchemy's errors."""

    engine: sa.Engine
    job: Job
    run: str

    @classmethod
    def take(cls, engine: sa.Engine, job_id: str, worker: str) -> Claim | None:
        """Claim a job and count the attempt, in one transaction; None if there is nothing left to do."""
        run = secrets.token_hex(8)
        own = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.status.in_(UNFINISHED))
        with engine.begin() as connection:
            exclusive(connection)
            taken = connection.execute(
                own.values(
                    status=PROCESSING,
                    run=run,
                    worker=worker,
                    attempts=jobs.c.attempts + 1,
                    started=sa.func.coalesce(jobs.c.started, time.time()),
                )
            )
            if not taken.rowcount:
                return None
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()
        return cls(engine, Job.from_row(row._asdict()), run)

    def tell(self, progress: JobProgress) -> bool:
        """Store how far it is; whether the job is still wanted."""
        self._update(progress=asdict(progress))
        return self.wanted()

    def wanted(self) -> bool:
        """Whether nobody has cancelled it. Raises Superseded if it is no longer ours."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(jobs.c.cancel).where(*self._mine())).first()
        if row is None:
            raise Superseded
        return not row.cancel

    def keeps(self) -> bool:
        """Whether whoever cancelled it wants what is composed."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(jobs.c.keep, jobs.c.deleted).where(*self._mine())).first()
        return row is not None and bool(row.keep) and not row.deleted

    def end(self, status: str, *, progress: JobProgress | None = None, **changes: Any) -> bool:
        """The job has ended; True if its owner deleted it meanwhile, and the row is gone."""
        if progress is not None:
            changes["progress"] = asdict(progress)
        with self.engine.begin() as connection:
            exclusive(connection)
            ours = sa.select(jobs.c.deleted, jobs.c.status).where(jobs.c.id == self.job.id, jobs.c.run == self.run)
            row = connection.execute(ours).first()
            if row is not None and row.status == status:
                return False  # done before; only the answer was lost
            if row is None or row.status != PROCESSING:
                raise Superseded
            if row.deleted:
                connection.execute(sa.delete(jobs).where(*self._mine()))
            else:
                ended = sa.update(jobs).where(*self._mine())
                connection.execute(ended.values(status=status, finished=time.time(), **changes))
        return bool(row.deleted)

    def give_back(self) -> None:
        """The job waits again, and the attempt does not count."""
        with self.engine.begin() as connection:
            back = sa.update(jobs).where(*self._mine())
            connection.execute(back.values(status=PENDING, run=None, worker=None, attempts=jobs.c.attempts - 1))

    def _update(self, **changes: Any) -> None:
        with self.engine.begin() as connection:
            if not connection.execute(sa.update(jobs).where(*self._mine()).values(**changes)).rowcount:
                raise Superseded

    def _mine(self) -> tuple[Any, ...]:
        return jobs.c.id == self.job.id, jobs.c.run == self.run, jobs.c.status == PROCESSING
