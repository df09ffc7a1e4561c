"""How loud audio is: integrated loudness and true peak."""

from __future__ import annotations

import math

import numpy as np
import soxr
from numpy.typing import NDArray

from songbloom.errors import InvalidInput

_OVERSAMPLING = 4
_BLOCK_S = 10  # true peak is taken block by block: oversampling a whole song takes four times its memory
_OVERLAP = 1024  # samples; longer than the resampler's filter, so block edges do not show


def loudness(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770-4, gated) of ``[channels, samples]``, up to 5 channels.

    ``-inf`` for silence and for audio shorter than one 0.4 s measuring block.
    """
    if audio.shape[0] > 5:
        raise InvalidInput("audio", f"{audio.shape[0]} channels", "loudness is defined for 1 to 5 channels")
    if audio.shape[1] < 0.4 * sample_rate or not audio.any():
        return -math.inf
    import pyloudnorm  # on use: it imports scipy.signal, which takes longer than reading a file

    with np.errstate(divide="ignore", invalid="ignore"):  # every block below the gate
        measured = float(pyloudnorm.Meter(sample_rate).integrated_loudness(audio.T.astype(np.float64)))
    return measured if math.isfinite(measured) else -math.inf


def true_peak_db(audio: NDArray[np.float32], sample_rate: int) -> float:
    """True peak in dBTP (ITU-R BS.1770-4 annex 2: the peak after 4x oversampling) of ``[channels, samples]``.

    ``-inf`` for silence. Never below the sample peak.
    """
    peak = float(np.abs(audio).max(initial=0.0))
    if peak == 0.0:
        return -math.inf
    step, edge = _BLOCK_S * sample_rate, _OVERLAP
    for channel in np.pad(audio, ((0, 0), (edge, edge))):
        for start in range(0, audio.shape[1], step):
            block = np.ascontiguousarray(channel[start : start + step + 2 * edge])
            finer = soxr.resample(block, sample_rate, _OVERSAMPLING * sample_rate, quality="HQ")
            inner = finer[edge * _OVERSAMPLING : -edge * _OVERSAMPLING]
            peak = max(peak, float(np.abs(inner).max(initial=0.0)))
    return 20 * math.log10(peak)
