from __future__ import annotations

import numpy as np
import pytest

from songbloom.evaluate.measures import edit_distance, nearest, runs, spectral_distance_db, spectral_features


@pytest.mark.parametrize(
    ("said", "wanted", "distance"),
    [
        ("kitten", "sitting", 3),
        ("", "abc", 3),
        ("abc", "", 3),
        ("abc", "abc", 0),
        ("flaw", "lawn", 2),
        ("aaaa", "aa", 2),
    ],
)
def test_edit_distance(said, wanted, distance):
    assert edit_distance([ord(c) for c in said], [ord(c) for c in wanted]) == distance


def test_runs():
    assert runs([1, 1, 2, 2, 1]) == [1, 2, 1] and runs([]) == []


def tone(hz: float, seconds: float = 2.0) -> np.ndarray:
    t = np.arange(int(seconds * 48000)) / 48000
    hiss = 0.01 * np.random.default_rng(0).standard_normal(len(t))  # no band is empty, as in music
    return np.stack([np.sin(2 * np.pi * hz * t) + hiss] * 2).astype(np.float32)


def test_features_tell_timbre_and_not_level():
    low, quiet, high = (spectral_features(a, 48000) for a in (tone(200), tone(200) * 0.1, tone(4000)))
    assert spectral_distance_db(low, quiet) < 0.1 < 5 < spectral_distance_db(low, high)


def test_nearest_class():
    rng = np.random.default_rng(0)
    labelled = [(n, c + 0.1 * rng.standard_normal(4)) for n, c in (("a", 0.0), ("b", 3.0)) for _ in range(4)]
    assert nearest(np.full(4, 2.5), labelled) == "b"


def test_nearest_class_measures_by_how_songs_of_a_class_differ():
    """Two features that go up and down together tell nothing alone, but their difference tells the class."""
    rng = np.random.default_rng(0)
    labelled = []
    for label, gap in (("a", 0.0), ("b", 1.0)):
        for common in 5 * rng.standard_normal(30):
            labelled.append((label, np.array([common, common + gap]) + 0.1 * rng.standard_normal(2)))
    cases = [("a", np.array([6.0, 6.0])), ("b", np.array([-6.0, -5.0])), ("a", np.array([-7.0, -7.1]))]
    assert [nearest(features, labelled, shrinkage=0.0) for _, features in cases] == [label for label, _ in cases]
    assert nearest(np.array([-6.0, -5.0]), labelled, shrinkage=1.0) == "a"


def test_short_and_silent_audio_is_finite():
    assert np.isfinite(spectral_features(np.zeros((2, 100), np.float32), 48000)).all()
