"""Measures of one song's audio or tokens; numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from songbloom.audio.spectrum import magnitudes, mel_borders

BANDS = 24
FRAME, HOP = 2048, 1024
LOWEST_HZ, HIGHEST_HZ = 40.0, 16000.0


def band_energies(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Energies in dB of the mid channel, [frames, 24] bands spaced evenly in mel from 40 Hz to 16 kHz."""
    power = magnitudes(audio, FRAME, HOP) ** 2
    edges = np.round(mel_borders(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) / sample_rate * FRAME).astype(int)
    edges = np.maximum.accumulate(np.minimum(edges, power.shape[1] - 1))
    bands = [power[:, a : max(b, a + 1)].mean(1) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return 10 * np.log10(np.stack(bands, axis=1) + 1e-10)


def spectral_features(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """How a band sounds, whatever it plays: [72] mean and deviation of each band, and of its change over a frame.

    The overall level is taken out.
    """
    energies = band_energies(audio, sample_rate)
    loud = energies[energies.mean(1) > energies.mean(1).max() - 50]
    change = np.abs(np.diff(energies, axis=0)).mean(0) if len(energies) > 1 else np.zeros(BANDS)
    return np.concatenate([loud.mean(0) - loud.mean(), loud.std(0), change])


def spectral_distance_db(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Root mean square difference of two :func:`spectral_features`, in dB."""
    return float(np.sqrt(np.mean((a - b) ** 2)))


def nearest(
    features: NDArray[np.float64], labelled: Sequence[tuple[str, NDArray[np.float64]]], *, shrinkage: float = 0.3
) -> str:
    """The label of the nearest class mean, distances measured by how songs of one class differ (Mahalanobis).

    Args:
        features: [d] of one song.
        labelled: songs of known class; two or more.
        shrinkage: 0 trusts the measured covariance within classes, 1 takes features as independent and equally telling.
    """
    values = np.stack([f for _, f in labelled])
    centre, spread = values.mean(0), values.std(0) + 1e-6
    values = (values - centre) / spread
    labels = sorted({label for label, _ in labelled})
    means = np.stack([values[[label == name for label, _ in labelled]].mean(0) for name in labels])
    rest = values - means[[labels.index(label) for label, _ in labelled]]
    within = rest.T @ rest / len(values)
    # The small constant is for classes without any spread.
    level = np.trace(within) / len(within) + 1e-6
    within = (1 - shrinkage) * within + shrinkage * level * np.eye(len(within))
    away = (features - centre) / spread - means
    return labels[int(np.argmin((away * np.linalg.solve(within, away.T).T).sum(1)))]


def edit_costs(said: Sequence[int], wanted: Sequence[int]) -> NDArray[np.int64]:
    """[i, j]: substitutions, insertions and deletions that turn the first i of ``said`` into the first j of ``wanted``
    (Levenshtein)."""
    target, position = np.asarray(wanted), np.arange(len(wanted) + 1)
    cost = np.zeros((len(said) + 1, len(wanted) + 1), np.int64)
    cost[0] = position
    for i, item in enumerate(said, start=1):
        change = np.append(i, np.minimum(cost[i - 1, 1:] + 1, cost[i - 1, :-1] + (target != item)))
        # a deletion costs one more than the best before it: a running minimum of change - position
        cost[i] = np.minimum.accumulate(change - position) + position
    return cost


def edit_distance(said: Sequence[int], wanted: Sequence[int]) -> int:
    """Substitutions, insertions and deletions that turn ``said`` into ``wanted``."""
    return int(edit_costs(said, wanted)[-1, -1])


def runs(values: Sequence[int]) -> list[int]:
    """The values with repetitions of their neighbour dropped."""
    return [v for i, v in enumerate(values) if i == 0 or v != values[i - 1]]
