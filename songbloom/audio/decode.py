"""Read audio files: any rate and channel count, only the part that is asked for.

Arrays are float32 ``[channels, samples]`` with full scale at -1..1, as everywhere in this package.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from songbloom.audio.formats import READABLE
from songbloom.errors import InvalidInput

_BLOCK_SAMPLES = 1 << 20  # decoded at a time, over all channels: a lying header cannot claim all memory
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 1_000_000  # Hz


def read(
    path: str | PathLike[str],
    *,
    sample_rate: int | None = None,
    mono: bool = False,
    start_s: float = 0.0,
    seconds: float | None = None,
    field: str = "audio",
) -> tuple[NDArray[np.float32], int]:
    """Read an audio file, or a part of it; a part of a long file is reached by seeking.

    Args:
        path: a file of one of :data:`songbloom.audio.READABLE`.
        sample_rate: rate to resample to, in Hz; None keeps the file's.
        mono: average all channels into one.
        start_s: where to start, in seconds.
        seconds: how much to read at most; None reads to the end.
        field: the option the path came from, named in errors.

    Returns:
        ``(audio, sample_rate)``: float32 ``[channels, samples]`` and its rate in Hz.

    Raises:
        InvalidInput: no such file, a directory, not audio, damaged, or ``start_s`` at or beyond its end.
    """
    _check_range(start_s, seconds)
    if sample_rate is not None and not _LOWEST_RATE <= sample_rate <= _HIGHEST_RATE:
        raise InvalidInput("sample_rate", sample_rate, f"must be {_LOWEST_RATE} to {_HIGHEST_RATE} Hz")
    with open_audio(path, field) as file:
        audio = _decode(file, start_s, seconds, path, field)
        file_rate = file.samplerate
    if mono and len(audio) > 1:
        with np.errstate(invalid="ignore", over="ignore"):  # inf - inf; callers that mind test the result
            audio = audio.mean(axis=0, keepdims=True, dtype=np.float32)
    if sample_rate is None or sample_rate == file_rate:
        return audio, file_rate
    resampled = resample(audio, file_rate, sample_rate)
    if seconds is not None:
        resampled = resampled[:, : round(seconds * sample_rate)]
    return resampled, sample_rate


def resample(audio: NDArray[np.float32], rate: int, new_rate: int) -> NDArray[np.float32]:
    """Resample float32 ``[channels, samples]`` from ``rate`` to ``new_rate`` Hz (soxr, very high quality)."""
    if rate == new_rate:
        return audio
    converted = soxr.resample(np.ascontiguousarray(audio.T), rate, new_rate, quality="VHQ")
    return np.ascontiguousarray(converted.T, dtype=np.float32)


@contextmanager
def open_audio(path: str | PathLike[str], field: str = "audio") -> Iterator[soundfile.SoundFile]:
    """Open a file for reading, with every failure of opening or decoding as InvalidInput."""
    place = Path(path)
    _check_file(place, field)
    try:
        # Names need not be UTF-8 where they are bytes, and soundfile would encode them as such.
        with soundfile.SoundFile(os.fsencode(place) if os.name == "posix" else place) as file:
            # libsndfile opens anything called .au as headerless telephone audio, which would be noise.
            if file.format == "RAW":
                raise InvalidInput(field, str(path), _not_audio(place))
            if not _LOWEST_RATE <= file.samplerate <= _HIGHEST_RATE:
                remedy = f"has a sample rate of {file.samplerate} Hz; convert it to 44100 or 48000 Hz"
                raise InvalidInput(field, str(path), remedy)
            yield file
    except TypeError as error:  # soundfile's answer to a file called .raw
        raise InvalidInput(field, str(path), _not_audio(place)) from error
    except soundfile.LibsndfileError as error:
        raise InvalidInput(field, str(path), f"{_not_audio(place)} [{error.error_string}]") from error


def _decode(
    file: soundfile.SoundFile, start_s: float, seconds: float | None, path: str | PathLike[str], field: str
) -> NDArray[np.float32]:
    """float32 ``[channels, samples]`` from ``start_s`` on, at the file's own rate."""
    rate, start = file.samplerate, round(start_s * file.samplerate)
    beyond = f"is {file.frames / rate:.2f} s long: a start at {start_s:g} s is beyond its end"
    if start and start >= file.frames:
        raise InvalidInput(field, str(path), beyond)
    if start:
        file.seek(start)
    wanted = math.inf if seconds is None else round(seconds * rate)
    block_frames = max(1, _BLOCK_SAMPLES // file.channels)
    blocks, got = [], 0
    # Until the data ends, whatever length the header promises.
    while got < wanted:
        block = file.read(int(min(block_frames, wanted - got)), dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(block)
        got += len(block)
    if not blocks:
        raise InvalidInput(field, str(path), beyond if start else "holds no audio; use another file")
    return np.ascontiguousarray(np.concatenate(blocks).T)


def _check_range(start_s: float, seconds: float | None) -> None:
    if not (math.isfinite(start_s) and start_s >= 0):
        raise InvalidInput("start_s", start_s, "must be zero or more seconds")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise InvalidInput("seconds", seconds, "must be more than zero seconds")


def _check_file(path: Path, field: str) -> None:
    try:
        if path.is_dir():
            raise InvalidInput(field, str(path), "is a directory; name an audio file in it")
        if not path.exists():
            raise InvalidInput(field, str(path), "no such file; check the path")
        if not path.is_file():
            raise InvalidInput(field, str(path), "is not a regular file; save the audio to a file first")
        with path.open("rb") as file:
            if not file.read(1):
                raise InvalidInput(field, str(path), "is empty; use another file")
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(field, str(path), f"cannot be read: {reason}") from error


def _not_audio(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        kind = "is MPEG-4 audio or video (m4a, aac, mp4), which needs a decoder this package does not have"
    elif head.startswith(b"\x1aE\xdf\xa3"):
        kind = "is Matroska or WebM, which needs a decoder this package does not have"
    elif head.startswith(b"0&\xb2u"):
        kind = "is Windows Media audio, which needs a decoder this package does not have"
    else:
        kind = f"is damaged or is not audio of a kind this can read ({', '.join(READABLE)})"
    return f'{kind}; convert it, for example with: ffmpeg -i "{path.name}" "{path.stem}-converted.wav"'
