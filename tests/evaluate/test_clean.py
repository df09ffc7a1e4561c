from __future__ import annotations

import numpy as np
import pytest

from songbloom.evaluate.clean import finite, inner_silence_s, is_stuck, saved_peak

RATE = 8000


def sound(*parts: float, level: float = 0.5) -> np.ndarray:
    """Seconds of sound and, where negative, of silence."""
    rng = np.random.default_rng(0)
    pieces = [level * rng.uniform(-1, 1, (2, int(abs(s) * RATE))) * (s > 0) for s in parts]
    return np.concatenate(pieces, axis=1).astype(np.float32)


def test_broken_samples():
    audio = sound(1)
    assert finite(audio)
    audio[1, 7] = np.inf
    assert not finite(audio)


def test_what_is_saved_does_not_clip():
    assert saved_peak(sound(1, level=3.0), RATE) <= 1
    assert saved_peak(sound(1), RATE) == pytest.approx(0.5, abs=0.01)


def test_only_silence_before_the_end_counts():
    assert inner_silence_s(sound(1, -1.5, 1, -3), RATE) == pytest.approx(1.5, abs=0.01)
    assert inner_silence_s(sound(2, -3), RATE) < 0.01
    assert inner_silence_s(sound(-2), RATE) == pytest.approx(2)


def tokens(*parts: tuple[list[int], int]) -> np.ndarray:
    return np.array([t for pattern, times in parts for t in pattern * times], np.int64)


@pytest.mark.parametrize(
    ("codes", "stuck"),
    [
        (tokens(([5], 37), ([6], 20)), False),
        (tokens(([5], 38), ([6], 20)), True),
        (tokens((list(range(12)), 4), ([40], 1)), False),
        (tokens((list(range(12)), 5), ([40], 1)), True),
        (tokens(([1, 2, 3, 4, 5], 11), ([40], 1)), False),  # 4.4 s
        (tokens(([1, 2, 3, 4, 5], 12), ([40], 1)), True),  # 4.8 s
        (tokens((list(range(20)), 6)), False),  # a pattern longer than a second is music
        (tokens(([], 1)), False),
    ],
)
def test_a_song_that_hangs(codes, stuck):
    assert is_stuck(codes, 12.5) is stuck
