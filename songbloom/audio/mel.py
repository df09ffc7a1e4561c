"""Spectrum of the mid channel in bands as the ear has them, for measures of voice and rhythm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from songbloom.audio.spectrum import magnitudes, mel_borders

FRAME = 2048
FRAMES_A_SECOND = 50
BANDS = 64
LOWEST_HZ, HIGHEST_HZ = 60.0, 12000.0
RANGE = 1e-8  # power below the loudest that still counts: 80 dB


def mel_levels(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Levels in dB, [frames, 64], of ``audio`` [2, n], 50 frames a second.

    The floor follows the loudest level, so that louder or quieter audio only has other levels, not another shape.
    """
    power = magnitudes(audio, FRAME, round(sample_rate / FRAMES_A_SECOND)) ** 2 @ _triangles(sample_rate).T
    return 10 * np.log10(power + RANGE * power.max() + 1e-12)


def band_centres() -> NDArray[np.float64]:
    """Centres of the bands in Hz, [64]."""
    return _edges()[1:-1]


def _edges() -> NDArray[np.float64]:
    """Borders in Hz, [66]: band ``k`` rises from border ``k``, peaks at ``k + 1`` and ends at ``k + 2``."""
    return mel_borders(LOWEST_HZ, HIGHEST_HZ, BANDS + 2)


def _triangles(sample_rate: int) -> NDArray[np.float64]:
    """Weights of the bins of a frame's spectrum, [64, bins]."""
    edges, bins = _edges(), np.fft.rfftfreq(FRAME, 1 / sample_rate)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling))
