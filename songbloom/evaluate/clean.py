"""Faults anybody hears: broken samples, clipping, holes, and a song that hangs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from songbloom.audio import longest_silence_s, write
from songbloom.evaluate.structure import longest_run

SILENCE_DB = -60.0
LONGEST_SILENCE_S = 1.0
LONGEST_TOKEN_S = 3.0
LONGEST_LOOP = 1.0  # seconds of the longest pattern looked for
LOOP_REPEATS = 4


def finite(audio: NDArray[np.float32]) -> bool:
    """Whether ``audio`` holds neither NaN nor infinity."""
    return bool(np.isfinite(audio).all())


def saved_peak(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Peak of ``audio`` [2, n] as it is saved, which scales down what would clip; full scale is 1."""
    with tempfile.TemporaryDirectory() as folder, _without_warnings("songbloom.audio.encode"):
        return write(Path(folder) / "song.flac", audio, sample_rate).peak


@contextmanager
def _without_warnings(logger: str) -> Iterator[None]:
    """Songs that are scaled down are no news here: their number is reported."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def inner_silence_s(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Longest silence in seconds before the sound ends; that after it is the ending's business."""
    sounding = np.flatnonzero((np.abs(audio) >= 10 ** (SILENCE_DB / 20)).any(axis=0))
    if not len(sounding):
        return audio.shape[1] / sample_rate
    return longest_silence_s(audio[:, : sounding[-1] + 1], sample_rate, threshold_db=SILENCE_DB)


def is_stuck(codes: NDArray[np.int64], frame_rate: float) -> bool:
    """Whether tokens [n] hang: one for over 3 s, or a pattern of up to a second more than 4 times in a row for as long
    as a pattern of a second would take.

    Patterns of all lengths up to a second count, for a second need not be a whole number of tokens.
    """
    if longest_run(codes[1:] == codes[:-1]) + 1 > LONGEST_TOKEN_S * frame_rate:
        return True
    longest = round(LONGEST_LOOP * frame_rate)
    at_least = (LOOP_REPEATS + 1) * longest
    return any(longest_run(codes[period:] == codes[:-period]) + period >= at_least for period in range(2, longest + 1))
