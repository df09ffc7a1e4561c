"""JobService: everything a client can do with jobs. The REST routes and the web page are thin over it.

Its methods block on the database; call them from threads. All of them raise Unavailable while it is away.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from songbloom.serve import storage as keys
from songbloom.serve.database import exclusive, jobs, reached, read_value, write_value
from songbloom.serve.errors import Conflict, NotFound, QueueFull, TooMany
from songbloom.serve.queue import JobQueue
from songbloom.serve.records import (
    CANCELLED,
    PENDING,
    PROCESSING,
    UNFINISHED,
    USUAL,
    Job,
    JobProgress,
    SongOrder,
)
from songbloom.serve.settings import ServeSettings
from songbloom.serve.storage import Storage, stored

log = logging.getLogger(__name__)


class JobService:
    """Jobs in the database, their files in the storage, their turn in the queue."""

    def __init__(self, settings: ServeSettings, engine: sa.Engine, storage: Storage) -> None:
        self.settings, self.engine, self.storage = settings, engine, storage
        self.queue = JobQueue(engine)

    def submit(
        self,
        owner: str,
        order: SongOrder,
        clip: Path,
        *,
        priority: int = USUAL,
        idempotency_key: str | None = None,
        seed_drawn: bool = False,
        limit: int | None = None,
    ) -> tuple[Job, bool]:
        """Store a job; when this returns, it survives. Also says whether it is new, or that of the idempotency key.

        Args:
            clip: the style clip; copied.
            limit: unfinished jobs the owner may have.

        Raises:
            QueueFull, TooMany: nothing is kept.
            Conflict: the key was used for something else.
        """
        fingerprint = order.fingerprint(_sha256(clip), seed_drawn=seed_drawn)
        with reached(), self.engine.connect() as connection:  # before the clip is copied
            if earlier := self._earlier(connection, owner, idempotency_key, fingerprint):
                return earlier, False
            self._check_room(connection, owner, limit)
        job_id = keys.new_job_id()
        with stored():
            size = self.storage.write_file(keys.prompt_key(job_id), clip)
        try:
            with reached(), self.engine.begin() as connection:
                exclusive(connection)
                if earlier := self._earlier(connection, owner, idempotency_key, fingerprint):
                    self._drop_files(job_id)
                    return earlier, False
                self._check_room(connection, owner, limit)
                row = _new_row(job_id, owner, order, priority, idempotency_key, fingerprint, size)
                connection.execute(sa.insert(jobs).values(row))
                self.queue.add(connection, job_id, priority)
        except (QueueFull, TooMany, Conflict):
            self._drop_files(job_id)
            raise
        # Any other failure may have come after the commit: the clip stays, and is swept if there is no job.
        log.info("job %s accepted", job_id)
        return Job.from_row(row), True

    def check_room(self, owner: str, limit: int | None) -> None:
        """Raises QueueFull or TooMany where :meth:`submit` would, before any work is done for it."""
        with reached(), self.engine.connect() as connection:
            self._check_room(connection, owner, limit)

    def get(self, owner: str, job_id: str) -> Job:
        """Raises NotFound, also for the job of another owner."""
        with reached(), self.engine.connect() as connection:
            row = connection.execute(_ONE, {"owner": owner, "job_id": job_id}).first()
        if row is None:
            raise NotFound("There is no such job.")
        return Job.from_row(row._asdict())

    def unfinished(self, owner: str) -> list[Job]:
        """The owner's jobs that wait or are being made, the oldest first."""
        query = sa.select(jobs).where(jobs.c.owner == owner, jobs.c.status.in_(UNFINISHED))
        query = query.where(jobs.c.deleted.is_(sa.false())).order_by(jobs.c.id)
        with reached(), self.engine.connect() as connection:
            rows = connection.execute(query).all()
        return [Job.from_row(row._asdict()) for row in rows]

    def list(
        self, owner: str, *, status: str | None = None, limit: int = 50, before: str | None = None
    ) -> tuple[list[Job], str | None]:
        """The owner's jobs, the newest first, and what to pass as ``before`` for the next page."""
        query = sa.select(jobs).where(jobs.c.owner == owner, jobs.c.deleted.is_(sa.false()))
        if status is not None:
            query = query.where(jobs.c.status == status)
        if before is not None:
            query = query.where(jobs.c.id < before)  # ids sort by time
        with reached(), self.engine.connect() as connection:
            rows = connection.execute(query.order_by(jobs.c.id.desc()).limit(limit + 1)).all()
        found = [Job.from_row(row._asdict()) for row in rows[:limit]]
        return found, found[-1].id if len(rows) > limit else None

    def position(self, job: Job) -> int | None:
        """How many jobs are served before this one; None if it does not wait."""
        if job.status != PENDING:
            return None
        with reached(), self.engine.connect() as connection:
            return connection.scalar(_COUNT_BEFORE, {"priority": job.priority, "created": job.created}) or 0

    def cancel(self, owner: str, job_id: str, *, keep: bool = False) -> Job:
        """A waiting job is cancelled at once, a running one within a block; an ended one stays as it is.

        Its whole songs stay; without any, its files go.

        Args:
            keep: what is composed of it becomes a song; a job that waits to go on keeps its turn for that.
        """
        job = self.get(owner, job_id)
        begun = job.status == PENDING and job.started is not None
        songs = self._songs_s(job) if begun else ()
        changes: dict[str, Any] = {}
        if job.status == PENDING:
            changes = {"progress": asdict(JobProgress.ended(songs))} if songs else {"bytes": 0}
        waiting = sa.update(jobs).where(*_own(owner, job_id), jobs.c.status == PENDING)
        waiting = waiting.where(jobs.c.started.is_not(None) if begun else jobs.c.started.is_(None))
        unfinished = sa.update(jobs).where(*_own(owner, job_id), jobs.c.status.in_(UNFINISHED))
        cancelled = 0
        with reached(), self.engine.begin() as connection:
            exclusive(connection)
            if not (keep and begun):
                ended = {"status": CANCELLED, "cancel": True, "finished": time.time(), **changes}
                cancelled = connection.execute(waiting.values(ended)).rowcount
            connection.execute(unfinished.values(cancel=True, keep=keep))
        if cancelled:
            self.queue.forget([job_id])
            if not songs:
                self._drop_files(job_id)
        return self.get(owner, job_id)

    def _songs_s(self, job: Job) -> Sequence[float]:
        """Seconds of a job's whole songs, as the storage has them; as was told last where it is away."""
        try:
            return self.storage.songs_s(job.id, job.order.num_samples)
        except OSError:
            return job.progress.seconds

    def delete(self, owner: str, job_id: str) -> None:
        """Remove a job and its files. A running one is cancelled first; it and its files go when it has stopped."""
        self.get(owner, job_id)
        running = sa.update(jobs).where(*_own(owner, job_id), jobs.c.status == PROCESSING)
        with reached(), self.engine.begin() as connection:
            exclusive(connection)
            busy = connection.execute(running.values(cancel=True, deleted=True)).rowcount
            if not busy:
                connection.execute(sa.delete(jobs).where(*_own(owner, job_id)))
        if not busy:
            self.queue.forget([job_id])
            self._drop_files(job_id)

    def counts(self) -> dict[str, int]:
        """Number of jobs by status."""
        query = sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)
        with reached(), self.engine.connect() as connection:
            return {status: count for status, count in connection.execute(query)}

    def model(self) -> str:
        """The model that new jobs are made with."""
        with reached(), self.engine.connect() as connection:
            return read_value(connection, "model") or self.settings.model

    def choose_model(self, name: str, **precision: str) -> None:
        """Make ``name`` the model of new jobs; workers load it when they are free. It counts as a reload.

        Args:
            precision: ``dtype`` and ``quantization`` to load it with, where not those of the settings.
        """
        with reached(), self.engine.begin() as connection:
            exclusive(connection)
            write_value(connection, "model", name)
            write_value(connection, "precision", precision)
            self._ask_workers(connection, resting=False)

    def unload_model(self) -> None:
        """Have the workers let go of their model when they are free; the next song loads it again."""
        with reached(), self.engine.begin() as connection:
            exclusive(connection)
            self._ask_workers(connection, resting=True)

    def model_wishes(self) -> dict[str, Any]:
        """``precision`` and ``resting`` as asked for last, and the ``choices`` workers have told; None: never."""
        with reached(), self.engine.connect() as connection:
            return {name: read_value(connection, name) for name in ("precision", "resting", "choices")}

    def _ask_workers(self, connection: sa.Connection, *, resting: bool) -> None:
        write_value(connection, "resting", resting)
        write_value(connection, "load", (read_value(connection, "load") or 0) + 1)

    def _earlier(self, connection: sa.Connection, owner: str, key: str | None, fingerprint: str) -> Job | None:
        if key is None:
            return None
        query = sa.select(jobs).where(jobs.c.owner == owner, jobs.c.idempotency_key == key)
        row = connection.execute(query).first()
        if row is None:
            return None
        if row.fingerprint != fingerprint or row.deleted:
            raise Conflict("This Idempotency-Key was used for another request.", field="Idempotency-Key")
        return Job.from_row(row._asdict())

    def _check_room(self, connection: sa.Connection, owner: str, limit: int | None) -> None:
        count = sa.select(sa.func.count()).select_from(jobs)
        if (connection.scalar(count.where(jobs.c.status == PENDING)) or 0) >= self.settings.max_queue:
            raise QueueFull(f"{self.settings.max_queue} jobs are waiting; try again later.", retry_after=30)
        if limit is None:
            return
        if (connection.scalar(count.where(jobs.c.owner == owner, jobs.c.status.in_(UNFINISHED))) or 0) >= limit:
            raise TooMany(f"This key has {limit} unfinished jobs, as many as it may have.", retry_after=30)

    def _drop_files(self, job_id: str) -> None:
        try:
            self.storage.remove_job(job_id)
        except OSError as error:
            log.warning("files of %s are left for the sweeper: %s", job_id, error)


def _own(owner: Any, job_id: Any) -> tuple[Any, ...]:
    return jobs.c.id == job_id, jobs.c.owner == owner, jobs.c.deleted.is_(sa.false())


# What every poll asks is put together once: that takes SQLAlchemy longer than the database the answer.
_ONE = sa.select(jobs).where(*_own(sa.bindparam("owner"), sa.bindparam("job_id")))
_COUNT_BEFORE = (
    sa.select(sa.func.count())
    .select_from(jobs)
    .where(
        jobs.c.status == PENDING,
        sa.or_(
            jobs.c.priority < sa.bindparam("priority"),
            sa.and_(jobs.c.priority == sa.bindparam("priority"), jobs.c.created < sa.bindparam("created")),
        ),
    )
)


def _new_row(
    job_id: str, owner: str, order: SongOrder, priority: int, idempotency_key: str | None, fingerprint: str, size: int
) -> dict[str, Any]:
    return {
        "id": job_id,
        "owner": owner,
        "idempotency_key": idempotency_key,
        "fingerprint": fingerprint,
        "request": order.to_json(),
        "status": PENDING,
        "priority": priority,
        "progress": asdict(JobProgress()),
        "attempts": 0,
        "worker": None,
        "error": None,
        "started": None,
        "finished": None,
        "cancel": False,
        "deleted": False,
        "bytes": size,
        "created": time.time(),
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
