"""One attempt at one job: go on after the blocks already stored, store every new one, put the songs in place.

Nothing here knows of DBOS. Whoever runs an attempt holds its run token; once another has it, nothing is written.
"""

from __future__ import annotations

import io
import json
import logging
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from songbloom.errors import InvalidInput, OutputError, SongBloomError
from songbloom.serve import storage as keys
from songbloom.serve.claims import Claim, Superseded
from songbloom.serve.composer import Block, Composer
from songbloom.serve.database import AWAY
from songbloom.serve.records import CANCELLED, COMPLETED, FAILED, Job, JobProgress, SongOrder
from songbloom.serve.storage import Storage
from songbloom.song import Song

log = logging.getLogger(__name__)

T = TypeVar("T")
_PROGRESS_EVERY_S = 0.4
_LONGEST_PAUSE_S = 5.0


class Stopping(Exception):
    """The worker shuts down; the job goes on elsewhere or later."""


class CancelAsked(Exception):
    """The job's owner wants it to end."""


class SongWork:
    """An attempt.

    Args:
        find_composer: gives the loaded model of a name.
        stopping: asked after every block.
    """

    def __init__(
        self,
        claim: Claim,
        storage: Storage,
        find_composer: Callable[[str], Composer],
        stopping: Callable[[], bool],
        max_attempts: int,
    ) -> None:
        self.claim, self.storage, self.stopping = claim, storage, stopping
        self._find_composer, self._max_attempts = find_composer, max_attempts
        self._told = 0.0
        self._progress = claim.job.progress
        self._save_begun: Callable[[], float] | None = None  # makes a song of the blocks there are

    def run(self) -> None:
        """Bring the job to its end, whatever that is.

        Raises:
            Stopping: the job is to be handed on.
            Superseded: another attempt has begun; nothing is to be done.
        """
        job = self.claim.job
        try:
            if job.attempts > self._max_attempts + bool(job.keep):
                self._failed(message=f"begun {self._max_attempts} times, and each time the worker died")
                return
            self._make(job)
        except CancelAsked:
            self._cancelled()
        except (Stopping, Superseded):
            raise
        except InvalidInput as error:
            field = "prompt_audio" if error.field == "prompt_wav" else error.field
            self._failed(field=field, message=f"{field}: {error.remedy}")
        except SongBloomError as error:
            self._failed(message=str(error))
        except Exception as error:  # a job must never take its worker with it
            log.exception("job %s failed", job.id)
            self._failed(message=f"unexpected {type(error).__name__}; the log tells more")

    def _make(self, job: Job) -> None:
        if not job.keep:  # else a predecessor's blocks become a song first
            self._look_for_cancel()
        composer = self._find_composer(job.order.model)
        with tempfile.TemporaryDirectory(prefix="songbloom-") as folder:  # private: mkdtemp
            clip = Path(folder) / "prompt_audio"
            data = self._fetch_clip(job.id)
            self._patiently(lambda: clip.write_bytes(data))
            prepared = composer.prepare(job.order, clip)
            seconds: list[float] = []
            try:
                for sample in range(job.order.num_samples):
                    seconds.append(self._make_sample(composer, prepared, sample, seconds, Path(folder)))
            except CancelAsked:
                self._end(CANCELLED, self._kept(seconds))
                return
        self._end(COMPLETED, seconds)

    def _kept(self, seconds: list[float]) -> list[float]:
        """Lengths of a cancelled job's songs: the whole ones, and, if its owner wants it, what is begun as one more."""
        try:
            if self._save_begun is not None and self.claim.keeps():
                seconds.append(self._save_begun())
        except (CancelAsked, *AWAY) as error:
            log.warning("job %s: what was composed is not kept (%s)", self.claim.job.id, type(error).__name__)
        return seconds

    def _cancelled(self) -> None:
        """End a job that is not wanted; the whole songs that earlier attempts have left stay."""
        job = self.claim.job
        try:
            seconds = self.storage.songs_s(job.id, job.order.num_samples)
        except OSError:  # nobody waits for the storage to cancel a job
            seconds = self._progress.seconds
        self._end(CANCELLED, seconds)

    def _failed(self, **error: str) -> None:
        if self.claim.job.cancel:  # it was only to be kept
            self._cancelled()
        else:
            self._end(FAILED, error=error)

    def _fetch_clip(self, job_id: str) -> bytes:
        try:
            return self._patiently(lambda: self.storage.read(keys.prompt_key(job_id)))
        except FileNotFoundError as error:
            raise SongBloomError("the style clip is no longer in the storage") from error

    def _make_sample(self, composer: Composer, prepared: Any, sample: int, before: list[float], folder: Path) -> float:
        """Compose and store one song, unless it is there; returns its seconds."""
        job, order = self.claim.job, self.claim.job.order
        with suppress(FileNotFoundError):
            return self._patiently(lambda: self.storage.song_s(job.id, sample))
        blocks = self._stored_blocks(job.id, sample)
        if blocks:
            log.info("job %s goes on after %d blocks of sample %d", job.id, len(blocks), sample)
        began = time.monotonic()
        seed = order.settings.seed_of(sample)

        def save() -> float:
            return self._save(composer.song(prepared, seed, blocks), sample, folder)

        self._save_begun = save if blocks else None
        self._look_for_cancel()
        for composed, block in enumerate(composer.compose(prepared, seed, tuple(blocks)), start=1):
            key, data = keys.block_key(job.id, sample, len(blocks)), block.to_bytes()
            self._patiently(partial(self.storage.write, key, data))
            blocks.append(block)
            self._save_begun = save
            where = composer.where(prepared, len(blocks), composed, time.monotonic() - began)
            left_s = _of_all(where.left_s, where.song_s, where.expected_s, order, sample, time.monotonic() - began)
            self._look_around(JobProgress(sample, where.song_s, where.expected_s, left_s, None, before))
        self._save_begun = None
        return save()

    def _save(self, song: Song, sample: int, folder: Path) -> float:
        """Put a song into the storage; returns its seconds."""
        job, order = self.claim.job, self.claim.job.order
        name = folder / f"song.{order.format}"
        report = self._patiently(lambda: song.save(name, format=order.format))
        # Saving lowers what would clip; who listens to the stream must not hear a step where blocks end.
        about = json.loads(name.with_suffix(".json").read_text("utf-8")) | {"gain_db": report.gain_db}
        name.with_suffix(".json").write_text(json.dumps(about, ensure_ascii=False), "utf-8")
        for key, source in (
            (keys.audio_key(job.id, sample, order.format), name),
            (keys.metadata_key(job.id, sample), name.with_suffix(".json")),
        ):
            self._patiently(partial(self.storage.write_file, key, source))
        return song.seconds

    def _stored_blocks(self, job_id: str, sample: int) -> list[Block]:
        """The blocks an earlier attempt made, up to the first that is missing or damaged."""
        blocks: list[Block] = []
        while True:
            key = keys.block_key(job_id, sample, len(blocks))
            try:
                blocks.append(Block.from_bytes(self._patiently(partial(self.storage.read, key))))
            except FileNotFoundError:
                return blocks
            except (ValueError, KeyError, zipfile.BadZipFile, io.UnsupportedOperation):
                log.warning("job %s: block %d of sample %d is damaged and is made again", job_id, len(blocks), sample)
                return blocks

    def _look_around(self, progress: JobProgress) -> None:
        """After every block: is this still ours and wanted? Tell how far it is, but not too often."""
        self._progress = progress
        if self.stopping():
            raise Stopping
        if time.monotonic() - self._told >= _PROGRESS_EVERY_S:
            self._told = time.monotonic()
            try:
                wanted = self.claim.tell(progress)
            except AWAY as error:  # composing goes on without the database
                log.warning("progress not told: %s", str(error).splitlines()[0])
                return
            if not wanted:
                raise CancelAsked
        else:
            self._look_for_cancel()

    def _look_for_cancel(self) -> None:
        try:
            wanted = self.claim.wanted()
        except AWAY as error:
            log.warning("not known whether the job is still wanted: %s", str(error).splitlines()[0])
            return
        if not wanted:
            raise CancelAsked

    def _end(self, status: str, seconds: Sequence[float] = (), **changes: Any) -> None:
        """Store how it ended, with songs of these lengths, however long the database is away, and tidy up."""
        job_id = self.claim.job.id
        if seconds:
            changes["progress"] = JobProgress.ended(seconds)
        nothing = status == CANCELLED and not seconds
        try:
            stays = () if nothing else (keys.prompt_key(job_id), keys.audio_folder(job_id))
            changes["bytes"] = self.storage.total(*stays)
        except OSError as error:
            log.warning("job %s: what it takes of the storage is not known: %s", job_id, error)
        purge = self._patiently(lambda: self.claim.end(status, **changes), ending=True)
        log.info("job %s %s", job_id, status)
        leftovers = f"jobs/{job_id}" if purge or nothing else keys.blocks_key(job_id)
        try:
            self.storage.remove(leftovers)
        except OSError as error:
            log.warning("%s is left for the sweeper: %s", leftovers, error)

    def _patiently(self, action: Callable[[], T], *, ending: bool = False) -> T:
        """Do it; while database or storage are away, or the disk is full, wait and try again.

        Raises:
            Stopping, CancelAsked: while waiting (an ending job cannot be cancelled).
        """
        pause_s = 0.25
        while True:
            try:
                return action()
            except FileNotFoundError:
                raise
            except (OSError, OutputError, *AWAY) as error:
                reason = str(error).splitlines()[0]
                log.warning("job %s waits: %s", self.claim.job.id, reason)
            until = time.monotonic() + pause_s
            while time.monotonic() < until:
                if self.stopping():
                    raise Stopping
                time.sleep(0.1)
            if not ending:
                self._tell_why_waiting()
                self._look_for_cancel()
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _tell_why_waiting(self) -> None:
        try:
            self.claim.tell(replace(self._progress, note="waiting for the storage"))
        except AWAY as error:
            log.debug("not told: %s", error)


def _of_all(
    left_s: float | None, song_s: float, expected_s: float, order: SongOrder, sample: int, elapsed_s: float
) -> float | None:
    """Time left for this and the samples to come, which are taken to be as long."""
    if left_s is None or not song_s:
        return None
    return left_s + (order.num_samples - sample - 1) * elapsed_s / song_s * expected_s
