"""A song's audio as bytes to send: whole files with ranges, and 16-bit PCM of a song that is still being composed."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import IO

import numpy as np
import soundfile

from songbloom.audio.wav_stream import to_pcm
from songbloom.serve import storage as keys
from songbloom.serve.composer import Block
from songbloom.serve.records import Job
from songbloom.serve.storage import Storage

_PIECE = 1 << 18
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
MEDIA_TYPES = {
    "flac": "audio/flac", "wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "opus": "audio/ogg",
}  # fmt: skip


def byte_range(header: str | None, size: int | None) -> tuple[int, int | None] | None:
    """First and last byte of a Range header; None if there is none that can be served as one.

    Args:
        size: of the whole, None while it is not known; then a range from the end cannot be.

    Raises:
        ValueError: the range lies beyond the end.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or (not match[1] and (not match[2] or size is None)):
        return None
    if not match[1]:
        assert size is not None
        return (max(0, size - int(match[2])), size - 1) if int(match[2]) else None
    first = int(match[1])
    last = int(match[2]) if match[2] else None
    if last is not None and last < first:
        return None
    if size is None:
        return first, last
    if first >= size:
        raise ValueError(f"bytes */{size}")
    return first, size - 1 if last is None else min(last, size - 1)


def file_pieces(file: IO[bytes], first: int, last: int) -> Iterator[bytes]:
    """The bytes of a file from ``first`` to ``last``; closes it."""
    with file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (piece := file.read(min(_PIECE, left))):
            left -= len(piece)
            yield piece


def file_peaks(file: IO[bytes], points: int) -> tuple[float, list[float]]:
    """Seconds of a song's file and its largest amplitude, 0 to 1, in each of ``points`` parts; closes the file.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with file, soundfile.SoundFile(file) as sound:
            step = max(1, -(-sound.frames // points))
            found = [_peak(sound, step) for _ in range(-(-sound.frames // step))]
            return sound.frames / sound.samplerate, found
    except soundfile.LibsndfileError as error:
        raise OSError(str(error)) from error


def _peak(sound: soundfile.SoundFile, frames: int) -> float:
    """The largest amplitude of the next ``frames``, read piece by piece."""
    peak = 0.0
    while frames > 0 and len(block := sound.read(min(frames, _PIECE // 4), dtype="float32", always_2d=True)):
        frames, peak = frames - len(block), max(peak, float(np.abs(block).max()))
    return round(min(1.0, peak), 3)


class SongSound:
    """The PCM of one sample, from its blocks while they are there, from the finished file after; methods block.

    The finished file is decoded in another way than the blocks, so that samples may differ in the last bits where a
    reader passes from one to the other; never in place. A thread may close it while another reads: closing waits.
    """

    def __init__(self, storage: Storage, job: Job, sample: int) -> None:
        self.storage, self.job, self.sample = storage, job, sample
        self.rate, self.channels = 0, 0
        self.next_frame = 0  # of the song, to be read next
        self._block, self._block_start = 0, 0
        self._finished: soundfile.SoundFile | None = None
        self._gain = 1.0  # undoes what saving did to the level
        self._lock, self._closed = threading.Lock(), False

    def read(self) -> bytes | None:
        """The PCM that follows; b'' if it is not there yet, None at the song's end.

        Raises:
            OSError: the storage is away.
        """
        with self._lock:
            return None if self._closed else self._read()

    def _read(self) -> bytes | None:
        if self._finished is None:
            piece = self._read_block()
            if piece is not None:
                return piece
            if not self.storage.exists(keys.metadata_key(self.job.id, self.sample)):
                return b""
            self._open_finished()
        return self._read_finished()

    def open_if_finished(self) -> int | None:
        """Frames of the whole song if it is finished."""
        with self._lock:
            if self._finished is None and self.storage.exists(keys.metadata_key(self.job.id, self.sample)):
                self._open_finished()
            return None if self._finished is None else int(self._finished.frames)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._finished is not None:
                self._finished.close()

    def _read_block(self) -> bytes | None:
        """PCM of the next block that has some we have not given; None if it is not there."""
        while True:
            try:
                data = self.storage.read(keys.block_key(self.job.id, self.sample, self._block))
                block = Block.from_bytes(data)
            except FileNotFoundError:
                return None
            except ValueError as error:
                raise OSError("a block is damaged") from error
            self.rate, self.channels = block.sample_rate, block.audio.shape[1]
            start, end = self._block_start, self._block_start + len(block.audio)
            self._block, self._block_start = self._block + 1, end
            if self.next_frame < end:
                audio = block.audio[max(0, self.next_frame - start) :]
                self.next_frame = end
                return audio.tobytes()

    def _open_finished(self) -> None:
        about = json.loads(self.storage.read(keys.metadata_key(self.job.id, self.sample)))
        self._gain = 10 ** (-about.get("gain_db", 0.0) / 20)
        source = self.storage.open(keys.audio_key(self.job.id, self.sample, self.job.order.format))
        try:
            self._finished = soundfile.SoundFile(source)
        except soundfile.LibsndfileError as error:
            raise OSError(str(error)) from error
        self.rate, self.channels = self._finished.samplerate, self._finished.channels
        self._finished.seek(min(self.next_frame, self._finished.frames))

    def _read_finished(self) -> bytes | None:
        assert self._finished is not None
        audio = to_pcm(self._finished.read(_PIECE // 4, dtype="float32", always_2d=True).T * self._gain)
        self.next_frame += len(audio)
        return audio.tobytes() if len(audio) else None
