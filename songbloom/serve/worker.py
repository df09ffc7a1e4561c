"""A worker process: takes jobs from the durable queue one at a time, and says that it lives.

A killed worker's job is taken back by its successor of the same name when it starts, or handed on by any other
process that misses its heartbeat. SIGTERM lets it finish the block it is at and put the job back.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig

from songbloom.errors import SongBloomError
from songbloom.serve.claims import Claim, Superseded
from songbloom.serve.composer import Composer, ModelComposer, choices, memory
from songbloom.serve.database import AWAY, connect, exclusive, migrate, private_folder, url_of, write_value
from songbloom.serve.errors import Unavailable
from songbloom.serve.heartbeat import BEAT_S, Watch, beat, hand_over_lost, leave, take_back
from songbloom.serve.models import LoadedModel
from songbloom.serve.queue import APPLICATION, QUEUE, VERSION, WORKFLOW, JobQueue
from songbloom.serve.settings import ServeSettings
from songbloom.serve.slots import worker_slot
from songbloom.serve.song_work import SongWork, Stopping
from songbloom.serve.storage import Storage

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
_POLL_S = 0.25


class Worker:
    """What lives as long as the process."""

    def __init__(self, name: str, settings: ServeSettings, load: Callable[[str], Composer]) -> None:
        self.name, self.settings = name, settings
        self.engine = connect(settings, patience_s=10.0, pool_size=5)
        self.storage, self.queue = Storage.of(settings), JobQueue(self.engine)
        self.model = LoadedModel(load, settings.model)
        self.stopping = threading.Event()
        self.choices: dict[str, list[str]] | None = None  # precisions on offer, when they are known
        self._busy = threading.Lock()  # held while a job is being made

    def make_song(self, job_id: str) -> None:
        """Bring a job to its end. Does not return before: a return would tell the queue that the job is done."""
        with self._busy:
            ended = self._attempt(job_id)
        if not ended:
            threading.Event().wait()  # the process is about to end, and the job goes on elsewhere

    def _attempt(self, job_id: str) -> bool:
        """Whether nothing is left to do for the job."""
        claim = self._claim(job_id)
        if claim is None:
            return not self.stopping.is_set()
        log.info("job %s, attempt %d", job_id, claim.job.attempts)
        most = self.settings.max_attempts
        try:
            SongWork(claim, self.storage, self.model.get, self.stopping.is_set, max_attempts=most).run()
        except Superseded:
            log.warning("job %s has gone to another worker", job_id)
        except Stopping:
            self._give_back(claim)
            return False
        return True

    def _claim(self, job_id: str) -> Claim | None:
        while not self.stopping.is_set():
            try:
                return Claim.take(self.engine, job_id, self.name)
            except AWAY as error:
                log.warning("job %s cannot be begun yet: %s", job_id, str(error).splitlines()[0])
                self.stopping.wait(1.0)
        return None

    def _give_back(self, claim: Claim) -> None:
        try:
            claim.give_back()
        except AWAY as error:
            log.warning("job %s is left to the others: %s", claim.job.id, str(error).splitlines()[0])

    def live(self) -> None:
        """Say every two seconds that this worker lives, and load the model that is asked for, until it stops."""
        while not self.stopping.wait(BEAT_S):
            try:
                held = memory(loaded=self.model.name is not None)
                beat(self.engine, self.name, self.model.name, self.model.problem, held)
                with self.engine.connect() as connection:
                    self.model.follow(connection)
            except AWAY as error:
                log.warning("heartbeat not told: %s", str(error).splitlines()[0])
            except Exception:  # a silent worker is taken for dead
                log.exception("heartbeat not told")

    def watch(self) -> None:
        """Hand on the jobs of workers that have fallen silent, and keep the wanted model loaded, until it stops."""
        watch, looked = Watch(self.engine, self.settings.worker_silence_s), 0.0
        self._tell_choices()
        while not self.stopping.wait(0.5):
            if not self._busy.locked():
                self.model.prepare()
            if time.monotonic() - looked < _LOOK_EVERY_S:
                continue
            looked = time.monotonic()
            try:
                hand_over_lost(self.engine, self.queue, watch)
            except Unavailable as error:
                log.warning("%s", error)
            except Exception:  # watching must go on
                log.exception("watching failed")

    def _tell_choices(self) -> None:
        """Finding them out loads torch, which takes seconds: not while the worker begins."""
        try:
            self.choices = self.choices or self.model.while_none_loads(lambda: choices(self.settings))
            with self.engine.begin() as connection:
                exclusive(connection)
                write_value(connection, "choices", self.choices)
        except (SongBloomError, *AWAY) as error:
            log.warning("precisions on offer not told: %s", str(error).splitlines()[0])
        except Exception:  # watching must go on
            log.exception("precisions on offer not told")

    def stop(self) -> None:
        """Wait for the block that is being composed, and give back what was taken."""
        self.stopping.set()
        self._busy.acquire()
        try:
            take_back(self.engine, self.queue, self.name)
            leave(self.engine, self.name)
        except AWAY as error:
            log.warning("left without a word: %s", str(error).splitlines()[0])


def run_worker(
    settings: ServeSettings, *, supervised: bool = False, load: Callable[[str], Composer] | None = None
) -> int:
    """Work until SIGTERM, SIGINT, or, when supervised, until the supervisor is gone; never returns otherwise.

    Args:
        supervised: whether stdin is a pipe whose end means that the supervisor has died.
        load: makes a composer of a model's name; for tests.
    """
    private_folder(settings.data_dir)
    ended = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: ended.set())
    if supervised:
        threading.Thread(target=_watch_stdin, args=(ended,), daemon=True).start()
    with worker_slot(settings.data_dir) as name:

        def load_model(model: str) -> Composer:
            precision: dict[str, Any] = worker.model.precision
            return ModelComposer(model, replace(settings, **precision))

        worker = Worker(name, settings, load or load_model)
        if load is not None:
            worker.choices = {"dtypes": ["auto"], "quantizations": ["none"]}
        _begin(worker, ended)
        log.info("worker %s is ready", name)
        ended.wait()
        worker.stop()
        logging.shutdown()
        # The thread of a job given back is parked for ever, by intention; and DBOS would wait for it.
        sys.stdout.flush()
        os._exit(0)


def _begin(worker: Worker, ended: threading.Event) -> None:
    """Take back what a predecessor of the same name left, then take from the queue. Waits for the database."""
    while not ended.is_set():
        try:
            migrate(worker.settings, worker.engine)
            take_back(worker.engine, worker.queue, worker.name)
            beat(worker.engine, worker.name, None, None)
            with worker.engine.connect() as connection:
                worker.model.follow(connection)
            break
        except sa.exc.DBAPIError as error:
            log.warning("waiting for the database: %s", str(error).splitlines()[0])
            ended.wait(1.0)
    for target in (worker.live, worker.watch):
        threading.Thread(target=target, name=target.__name__, daemon=True).start()
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": url_of(worker.settings),
        "system_database_engine": connect(worker.settings, patience_s=10.0, pool_size=5, listens=True),
        "application_version": VERSION,
        "executor_id": worker.name,
        "log_level": "WARNING",
        "run_migrations": False,
    }
    DBOS(config=config)
    DBOS.listen_queues([QUEUE])

    # DBOS' own count of attempts would end a job without a word to us; we count in the job.
    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
    def make_song(job_id: str) -> None:
        worker.make_song(job_id)

    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=1, polling_interval_sec=_POLL_S, on_conflict="always_update")


def _watch_stdin(ended: threading.Event) -> None:
    while sys.stdin.buffer.read(1):
        pass
    ended.set()
