"""Old songs go: by age, by the disk they take, and files that belong to no job."""

from __future__ import annotations

import logging
import secrets
import threading
import time

import sqlalchemy as sa

from songbloom.serve import storage as keys
from songbloom.serve.database import exclusive, jobs, library, reached, read_value, write_value
from songbloom.serve.errors import Unavailable
from songbloom.serve.heartbeat import Watch, hand_over_lost
from songbloom.serve.jobs import JobService
from songbloom.serve.library import Library
from songbloom.serve.records import CANCELLED, UNFINISHED
from songbloom.serve.uploads import Uploads

log = logging.getLogger(__name__)

_STRAY_AFTER_S = 3600.0


def sweep(service: JobService, *, stray_after_s: float = _STRAY_AFTER_S) -> list[str]:
    """Remove ended jobs that are too old, then the oldest beyond the quota, then stray files; returns their ids.

    Favourites stay, however old; their bytes count.

    Raises:
        Unavailable, OSError: database or storage are away; the next sweep goes on.
    """
    settings = service.settings
    ended = jobs.c.status.notin_(UNFINISHED)
    with reached(), service.engine.connect() as connection:
        query = sa.select(jobs.c.id, jobs.c.finished, jobs.c.bytes).where(ended).order_by(jobs.c.finished.desc())
        rows = connection.execute(query).all()
        favourites = set(connection.scalars(sa.select(library.c.job_id).where(library.c.favourite)))
    oldest, room, gone = time.time() - settings.keep_days * 86400, settings.quota_gb * 1e9, []
    for row in rows:  # the newest first
        room -= row.bytes
        if row.id in favourites:
            continue
        if row.finished < oldest or room < 0:
            gone.append(row.id)
    for job_id in gone:
        with reached(), service.engine.begin() as connection:
            connection.execute(sa.delete(jobs).where(jobs.c.id == job_id, ended))
        service.queue.forget([job_id])
        service.storage.remove_job(job_id)
    if gone:
        log.info("removed %d old jobs", len(gone))
    return gone + _strays(service, stray_after_s)


def _strays(service: JobService, after_s: float) -> list[str]:
    """Files whose job never came to be, is gone or was cancelled without a song, and blocks of jobs that have ended."""
    with reached(), service.engine.connect() as connection:
        rows = connection.execute(sa.select(jobs.c.id, jobs.c.status, jobs.c.progress)).all()
    status = {row.id: row.status for row in rows}
    empty = {row.id for row in rows if row.status == CANCELLED and not row.progress.get("seconds")}
    strays, stored = [], list(service.storage.job_ids())
    if not _is_ours(service, unknown=bool(stored) and not status.keys() & set(stored)):
        log.warning("the storage belongs to another database: files without a job are left in it")
        return []
    for job_id in stored:
        if keys.age_of(job_id) < after_s:
            continue
        if job_id not in status or job_id in empty:
            service.storage.remove_job(job_id)
            strays.append(job_id)
        elif status[job_id] not in UNFINISHED and service.storage.exists(keys.blocks_key(job_id)):
            service.storage.remove(keys.blocks_key(job_id))
    return strays


def _is_ours(service: JobService, *, unknown: bool) -> bool:
    """Whether database and storage belong together, by a mark in both: jobs that another database knows are no strays.

    Args:
        unknown: the storage holds jobs, but none of this database; it is not claimed then.
    """
    with reached(), service.engine.begin() as connection:
        exclusive(connection)
        mark = read_value(connection, "storage")
        if mark is None:
            mark = secrets.token_hex(16)
            write_value(connection, "storage", mark)
    try:
        return service.storage.read(keys.OWNER_KEY) == mark.encode()
    except FileNotFoundError:
        if unknown:
            return False
        service.storage.write(keys.OWNER_KEY, mark.encode())
        return True


class Housekeeping(threading.Thread):
    """What the API process does beside answering: it watches the workers and sweeps."""

    def __init__(
        self, service: JobService, watch: Watch, uploads: Uploads, *, watch_s: float = 2.0, sweep_s: float = 300.0
    ) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._service, self._watch, self._uploads = service, watch, uploads
        self._watch_s, self._sweep_s = watch_s, sweep_s
        self._ended = threading.Event()

    def stop(self) -> None:
        self._ended.set()
        self.join(10.0)

    def run(self) -> None:
        swept = -self._sweep_s
        while not self._ended.is_set():
            try:
                hand_over_lost(self._service.engine, self._service.queue, self._watch)
                if time.monotonic() - swept >= self._sweep_s:
                    swept = time.monotonic()
                    self._uploads.sweep()
                    sweep(self._service)
                    Library(self._service.engine).empty_bin(self._service.delete)
            except (Unavailable, OSError) as error:
                log.warning("housekeeping waits: %s", error)
            except Exception:  # it must go on
                log.exception("housekeeping failed")
            self._ended.wait(self._watch_s)
