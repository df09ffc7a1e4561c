"""Music-like sound for the tests (chords with decays, a beat, some noise) and how to compare it."""

from __future__ import annotations

import numpy as np

RATE = 48_000


def make_music(seconds: float = 4.0, rate: int = RATE, channels: int = 2) -> np.ndarray:
    """float32 ``[channels, samples]``, peak 0.5, the channels different."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(7).standard_normal(len(time))
    beat = np.exp(-8 * (time % 0.5))
    rows = []
    for channel in range(channels):
        notes = sum(
            np.sin(2 * np.pi * f * (1 + 0.01 * channel) * time) for f in (220.0, 277.2, 329.6, 1318.5)
        )
        rows.append((0.25 * notes + 0.05 * noise) * (0.3 + beat))
    audio = np.stack(rows)
    return (0.5 * audio / np.abs(audio).max()).astype(np.float32)


def snr_db(reference: np.ndarray, result: np.ndarray) -> float:
    """Signal-to-noise ratio of ``result`` in dB, over the samples both have."""
    length = min(reference.shape[1], result.shape[1])
    error = reference[:, :length].astype(np.float64) - result[:, :length]
    return float(10 * np.log10((reference[:, :length] ** 2).mean() / max((error**2).mean(), 1e-30)))
