"""Who is alive: workers count up in the database, and whoever watches hands on the jobs of those that stop.

No clock is compared with another machine's: a watcher measures with its own how long a count stood still. After an
outage of the database it begins to measure anew, so that a worker that could not write is not taken for dead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa

from songbloom.serve.database import jobs, reached, workers
from songbloom.serve.errors import Unavailable
from songbloom.serve.queue import JobQueue
from songbloom.serve.records import PENDING, PROCESSING

log = logging.getLogger(__name__)

BEAT_S = 2.0
_FORGET_AFTER_S = 3600.0  # a worker gone for so long is no longer shown


def beat(engine: sa.Engine, worker: str, model: str | None, problem: str | None, memory: int | None = None) -> None:
    """Say that ``worker`` lives and holds so many bytes of memory; raises SQLAlchemy's errors."""
    state = {"model": model, "problem": problem, "memory": memory}
    with engine.begin() as connection:
        count = sa.update(workers).where(workers.c.id == worker).values(beat=workers.c.beat + 1, **state)
        if connection.execute(count).rowcount == 0:
            connection.execute(sa.insert(workers).values(id=worker, beat=1, **state))


def leave(engine: sa.Engine, worker: str) -> None:
    """Say that ``worker`` has gone in order."""
    with engine.begin() as connection:
        connection.execute(sa.delete(workers).where(workers.c.id == worker))


class WorkerState(NamedTuple):
    """The loaded model, why there is none, and the memory held in bytes; each None where there is nothing to say."""

    model: str | None
    problem: str | None
    memory: int | None


class Watch:
    """How long each worker has been silent, as seen from here."""

    def __init__(self, engine: sa.Engine, silence_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.engine, self.silence_s, self._clock = engine, silence_s, clock
        self._seen: dict[str, tuple[int, float]] = {}  # worker -> its count, when it was first seen
        self._moved: set[str] = set()  # workers whose count was seen to change
        self._lock = threading.Lock()
        self._since: float | None = None  # when we began to see the database
        self._looked = 0.0
        self._models: dict[str, str | None] = {}

    def look(self) -> None:
        """Read the counts.

        Raises:
            Unavailable: the database is away; silence is measured anew when it is back.
        """
        with self._lock:
            self._look()

    def _look(self) -> None:
        try:
            with reached(), self.engine.connect() as connection:
                rows = connection.execute(sa.select(workers)).all()
        except Unavailable:
            self._seen, self._since, self._moved = {}, None, set()
            raise
        counts = {row.id: row.beat for row in rows}
        self._models = {row.id: row.model for row in rows}
        now = self._clock()
        # A watcher that slept (a laptop's lid, a stopped process) has not seen what it missed.
        if self._since is None or now - self._looked > self.silence_s / 2 + BEAT_S:
            self._seen, self._since = {}, now
        self._looked = now
        self._moved |= {w for w, n in counts.items() if w in self._seen and self._seen[w][0] != n}
        kept = {worker: self._seen.get(worker, (None, now)) for worker in counts}
        self._seen = {w: (n, kept[w][1] if kept[w][0] == n else now) for w, n in counts.items()}

    def alive(self) -> set[str]:
        """Workers heard of within the time of silence."""
        now = self._clock()
        return {worker for worker, (_, since) in self._seen.items() if now - since < self.silence_s}

    def heard(self) -> dict[str, str | None]:
        """Workers that certainly live, and the model each has loaded; reads the counts. Raises Unavailable."""
        self.look()
        heard = self.alive() & self._moved  # a count that stands may be of a worker long dead
        return {worker: model for worker, model in self._models.items() if worker in heard}

    def states(self) -> list[WorkerState]:
        """What the living workers say of themselves; reads the counts. Raises Unavailable."""
        self.look()
        alive = self.alive()
        with reached(), self.engine.connect() as connection:
            rows = connection.execute(sa.select(workers)).all()
        return [WorkerState(row.model, row.problem, row.memory) for row in rows if row.id in alive]

    def silent_for(self, seconds: float) -> list[str]:
        """Workers not heard of for so long."""
        now = self._clock()
        return [worker for worker, (_, since) in self._seen.items() if now - since > seconds]

    def settled(self) -> bool:
        """Whether we have looked long enough to call anyone silent."""
        return self._since is not None and self._clock() - self._since >= self.silence_s


def hand_over_lost(engine: sa.Engine, queue: JobQueue, watch: Watch) -> list[str]:
    """Give jobs whose worker is silent to the queue again, and mend missing queue entries; returns the former.

    Raises:
        Unavailable: the database is away.
    """
    watch.look()
    if not watch.settled():
        return []
    alive = watch.alive()
    with reached():
        with engine.connect() as connection:
            running = connection.execute(
                sa.select(jobs.c.id, jobs.c.run, jobs.c.worker).where(jobs.c.status == PROCESSING)
            ).all()
            old = jobs.c.created < time.time() - watch.silence_s
            waiting = list(connection.scalars(sa.select(jobs.c.id).where(jobs.c.status == PENDING, old)))
        lost = [row.id for row in running if row.worker not in alive and disown(engine, row.id, row.run)]
        if lost:
            log.warning("handing on jobs of silent workers: %s", ", ".join(lost))
            queue.hand_over(lost)
        queue.mend(waiting, alive)
        _forget_the_gone(engine, watch)
    return lost


def disown(engine: sa.Engine, job_id: str, run: str | None) -> bool:
    """Put a job back to waiting, so that writes of its run find nothing; whether it was us who did it."""
    mine = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.status == PROCESSING)
    mine = mine.where(jobs.c.run.is_(None) if run is None else jobs.c.run == run)
    with engine.begin() as connection:
        return connection.execute(mine.values(status=PENDING, run=None, worker=None)).rowcount > 0


def take_back(engine: sa.Engine, queue: JobQueue, worker: str) -> None:
    """What ``worker`` was doing waits again: called by itself when it starts after a crash and when it stops."""
    with engine.connect() as connection:
        mine = sa.select(jobs.c.id, jobs.c.run).where(jobs.c.worker == worker, jobs.c.status == PROCESSING)
        rows = connection.execute(mine).all()
    ours = {row.id for row in rows if disown(engine, row.id, row.run)}
    queue.hand_over(sorted(ours | set(queue.running_on(worker))))


def _forget_the_gone(engine: sa.Engine, watch: Watch) -> None:
    gone = watch.silent_for(_FORGET_AFTER_S)
    if gone:
        with engine.begin() as connection:
            connection.execute(sa.delete(workers).where(workers.c.id.in_(gone)))
