"""The library: what its owner says about a song (title, tags, favourite) beside the job that made it.

A deleted song waits in the bin and can be brought back; retention.py empties it. Methods block on the database and
raise Unavailable while it is away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from songbloom.serve.database import exclusive, jobs, library, reached
from songbloom.serve.errors import NotFound
from songbloom.serve.records import Job, SongOrder

#: Seconds a deleted song can be brought back.
BIN_S = 7 * 86_400.0
_BATCH = 200
_LONGEST_TITLE = 60


@dataclass(frozen=True)
class LibrarySong:
    """A job with sound, and what its owner says about it. ``trashed``: when it was deleted (seconds since 1970)."""

    job: Job
    title: str
    tags: list[str] = field(default_factory=list)
    favourite: bool = False
    trashed: float | None = None


class Library:
    """The songs of every owner, each seeing their own."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def songs(
        self,
        owner: str,
        *,
        search: str = "",
        favourite: bool = False,
        trashed: bool = False,
        limit: int = 50,
        before: str | None = None,
    ) -> tuple[list[LibrarySong], str | None]:
        """Songs that have sound, the newest first, and what to pass as ``before`` for the next page.

        Args:
            search: words that all must be in title, tags or lyrics; case does not matter.
            trashed: those in the bin instead of those that are not.
        """
        words = search.casefold().split()
        found: list[LibrarySong] = []
        for song in self._newest(owner, before):
            wanted = (song.trashed is not None) is trashed and (song.favourite or not favourite)
            if not wanted or not song.job.progress.seconds or not _matches(song, words):
                continue
            if len(found) == limit:
                return found, found[-1].job.id
            found.append(song)
        return found, None

    def get(self, owner: str, job_id: str) -> LibrarySong:
        """Raises NotFound, also for the song of another owner."""
        with reached(), self.engine.connect() as connection:
            row = connection.execute(_joined(owner).where(jobs.c.id == job_id)).first()
        if row is None:
            raise NotFound("There is no such song.")
        return _song_of(row._asdict())

    def change(self, owner: str, job_id: str, **changes: Any) -> LibrarySong:
        """Store ``title``, ``tags``, ``favourite`` or ``trashed``. Raises NotFound."""
        with reached(), self.engine.begin() as connection:
            exclusive(connection)
            row = connection.execute(_joined(owner).where(jobs.c.id == job_id)).first()
            if row is None:
                raise NotFound("There is no such song.")
            if not connection.execute(sa.update(library).where(library.c.job_id == job_id).values(**changes)).rowcount:
                fresh: dict[str, Any] = {
                    "job_id": job_id,
                    "owner": owner,
                    "title": None,
                    "tags": [],
                    "favourite": False,
                }
                connection.execute(sa.insert(library).values({**fresh, **changes}))
        return self.get(owner, job_id)

    def trash(self, owner: str, job_id: str) -> LibrarySong:
        """Put a song into the bin. Raises NotFound."""
        return self.change(owner, job_id, trashed=time.time())

    def restore(self, owner: str, job_id: str) -> LibrarySong:
        """Bring a song back from the bin. Raises NotFound."""
        return self.change(owner, job_id, trashed=None)

    def empty_bin(self, delete: Callable[[str, str], None], *, older_than_s: float = BIN_S) -> list[str]:
        """Give owner and id of every song that was long enough in the bin to ``delete``, and forget songs whose
        job is gone; returns the ids.
        """
        old = library.c.trashed < time.time() - older_than_s
        with reached(), self.engine.connect() as connection:
            rows = connection.execute(sa.select(library.c.owner, library.c.job_id).where(old)).all()
        for row in rows:
            try:
                delete(row.owner, row.job_id)
            except NotFound:  # its row below goes all the same
                continue
        with reached(), self.engine.begin() as connection:
            connection.execute(sa.delete(library).where(library.c.job_id.notin_(sa.select(jobs.c.id))))
        return [row.job_id for row in rows]

    def _newest(self, owner: str, before: str | None) -> Iterator[LibrarySong]:
        """All of the owner's jobs, read in batches."""
        while True:
            query = _joined(owner).order_by(jobs.c.id.desc()).limit(_BATCH)
            if before is not None:
                query = query.where(jobs.c.id < before)  # ids sort by time
            with reached(), self.engine.connect() as connection:
                rows = connection.execute(query).all()
            yield from (_song_of(row._asdict()) for row in rows)
            if len(rows) < _BATCH:
                return
            before = rows[-1].id


def default_title(order: SongOrder) -> str:
    """The name it was ordered under, else the first line that is sung."""
    if order.idx != "song":
        return order.idx
    for line in order.lyrics.splitlines():
        text = line.strip()
        while text.startswith("[") and "]" in text:
            text = text.partition("]")[2].strip(" ,")
        if text and not text.endswith(":") and not (text.startswith("(") and text.endswith(")")):
            return text if len(text) <= _LONGEST_TITLE else text[: _LONGEST_TITLE - 1].rstrip() + "…"
    return order.idx


def _joined(owner: str) -> sa.Select[Any]:
    said = (library.c.title, library.c.tags, library.c.favourite, library.c.trashed)
    beside = sa.and_(library.c.job_id == jobs.c.id, library.c.owner == jobs.c.owner)
    query = sa.select(jobs, *said).select_from(jobs.outerjoin(library, beside))
    return query.where(jobs.c.owner == owner, jobs.c.deleted.is_(sa.false()))


def _song_of(row: dict[str, Any]) -> LibrarySong:
    job = Job.from_row(row)
    title = row["title"] or default_title(job.order)
    return LibrarySong(job, title, row["tags"] or [], bool(row["favourite"]), row["trashed"])


def _matches(song: LibrarySong, words: list[str]) -> bool:
    text = " ".join([song.title, *song.tags, song.job.order.lyrics]).casefold()
    return all(word in text for word in words)
