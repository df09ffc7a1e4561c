"""Small measures of a signal, for tests and evaluation: is it tonal, does it stop, does it clip?

All take float32 ``[channels, samples]`` with full scale at -1..1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FRAME = 2048  # samples
_SILENT_POWER = 1e-12


def spectral_flatness(audio: NDArray[np.float32]) -> float:
    """Mean over frames of the geometric over the arithmetic mean of the power spectrum, of the mono mix.

    About 0.56 for white noise (the geometric mean of a chi-squared power is below its mean), near 0 for
    tones; frames without sound are left out. NaN where all are silent or the audio is shorter than a frame.
    """
    mono = audio.mean(axis=0, dtype=np.float64)
    frames = mono[: len(mono) // _FRAME * _FRAME].reshape(-1, _FRAME)
    frames = frames[(frames**2).mean(axis=1) > _SILENT_POWER]
    if not len(frames):
        return float("nan")
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), axis=1))[:, 1:] ** 2 + _SILENT_POWER
    return float((np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)).mean())


def longest_silence_s(audio: NDArray[np.float32], sample_rate: int, *, threshold_db: float = -60.0) -> float:
    """Length in seconds of the longest stretch in which every channel stays below ``threshold_db`` dBFS."""
    silent = (np.abs(audio) < 10 ** (threshold_db / 20)).all(axis=0)
    edges = np.flatnonzero(np.diff(silent.astype(np.int8), prepend=0, append=0))
    return float(np.diff(edges)[::2].max(initial=0)) / sample_rate


def clipped_fraction(audio: NDArray[np.float32], *, threshold: float = 0.999) -> float:
    """Share of samples, 0 to 1, whose magnitude is at ``threshold`` of full scale or above."""
    return float((np.abs(audio) >= threshold).mean()) if audio.size else 0.0
