"""Short-time spectra of the mid channel, and borders of bands as the ear has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def magnitudes(audio: NDArray[np.float32], frame: int, hop: int) -> NDArray[np.float64]:
    """Magnitudes [frames, frame // 2 + 1] of ``audio`` [2, n] in Hann windows of ``frame`` samples, ``hop`` apart."""
    mid = np.asarray(audio, np.float64).mean(0)
    mid = np.pad(mid, (0, max(0, frame - len(mid))))
    windows = np.lib.stride_tricks.sliding_window_view(mid, frame)[::hop]
    return np.abs(np.fft.rfft(windows * np.hanning(frame), axis=1))


def mel_borders(lowest_hz: float, highest_hz: float, count: int) -> NDArray[np.float64]:
    """``count`` frequencies in Hz from the lowest to the highest, evenly spaced in mel."""
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (lowest_hz, highest_hz))
    return 700 * (10 ** (np.linspace(lowest, highest, count) / 2595) - 1)
