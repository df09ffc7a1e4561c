"""What a job is asked to do and where it is: plain data, shared by API, workers and the web page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from songbloom.request import SongRequest, SongSettings

PENDING, PROCESSING, COMPLETED, FAILED, CANCELLED = "pending", "processing", "completed", "failed", "cancelled"
STATUSES = (PENDING, PROCESSING, COMPLETED, FAILED, CANCELLED)
UNFINISHED = (PENDING, PROCESSING)
FIRST, USUAL, LAST = 1, 5, 10  # priorities


@dataclass(frozen=True)
class SongOrder:
    """What is asked for: a SongRequest but for its clip, how many songs of it, and their format.

    ``settings.seed`` is drawn before the job is stored, so that every attempt makes the same songs.
    """

    lyrics: str
    settings: SongSettings
    num_samples: int = 1
    format: str = "flac"
    idx: str = "song"
    prompt_start: float = 0.0
    model: str = "songbloom_mini"

    def request(self, clip: Path) -> SongRequest:
        """Raises InvalidInput."""
        return SongRequest(self.lyrics, clip, self.prompt_start, self.idx, self.settings)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SongOrder:
        return cls(**{**content, "settings": SongSettings(**content["settings"])})

    def fingerprint(self, clip_sha256: str, *, seed_drawn: bool) -> str:
        """The same for the same wish; the model of the day, or a seed we drew, is no part of it."""
        content = self.to_json()
        del content["model"]
        if seed_drawn:
            content["settings"] = {**content["settings"], "seed": None}
        text = json.dumps([content, clip_sha256], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class JobProgress:
    """Where a job is: ``samples_done`` songs whole, the next at ``song_s`` seconds of about ``expected_s``."""

    samples_done: int = 0
    song_s: float = 0.0
    expected_s: float | None = None
    left_s: float | None = None  # of the whole job
    note: str | None = None  # what it waits for
    seconds: list[float] = field(default_factory=list)  # lengths of the whole songs

    @classmethod
    def ended(cls, seconds: Sequence[float]) -> JobProgress:
        """Of a job that has ended with whole songs of these lengths."""
        return cls(len(seconds), sum(seconds), sum(seconds), 0.0, None, list(seconds))


@dataclass(frozen=True)
class Job:
    """A job as it is stored."""

    id: str
    owner: str
    order: SongOrder
    status: str
    priority: int
    progress: JobProgress
    attempts: int
    worker: str | None
    cancel: bool
    error: dict[str, Any] | None
    created: float
    started: float | None
    finished: float | None
    keep: bool | None = None  # cancelled, but what is composed becomes a song

    @property
    def ended(self) -> bool:
        return self.status not in UNFINISHED

    @classmethod
    def from_row(cls, stored: Mapping[str, Any]) -> Job:
        """The job of a row of ``songbloom_jobs``."""
        known = {entry.name for entry in fields(cls)}
        values = {name: value for name, value in stored.items() if name in known}
        values["order"] = SongOrder.from_json(stored["request"])
        values["progress"] = JobProgress(**stored["progress"])
        return cls(**values)
