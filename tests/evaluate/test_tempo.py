from __future__ import annotations

import numpy as np
import pytest

from songbloom.audio.tempo import same_tempo, tempo

RATE = 48000


def clicks(bpm: float, seconds: float = 16.0) -> np.ndarray:
    """Four beats a bar, the first one louder, and soft eighths between, over a hiss."""
    rng = np.random.default_rng(0)
    audio = 0.01 * rng.standard_normal(int(seconds * RATE))
    click = np.exp(-np.arange(2400) / 400) * rng.standard_normal(2400)
    for eighth in range(int(seconds * bpm / 30) - 1):
        at = int(eighth * 30 / bpm * RATE)
        level = 0.05 if eighth % 2 else 0.6 if eighth % 8 == 0 else 0.3
        audio[at : at + 2400] += level * click[: len(audio) - at]
    return np.stack([audio] * 2).astype(np.float32)


@pytest.mark.parametrize("bpm", [72, 93.75, 111, 138])
def test_the_tempo_of_a_click_track(bpm):
    assert tempo(clicks(bpm), RATE) == pytest.approx(bpm, rel=0.02)


@pytest.mark.parametrize(("bpm", "octave"), [(50, 100), (180, 90)])
def test_other_octaves_are_folded(bpm, octave):
    found = tempo(clicks(bpm), RATE)
    assert found == pytest.approx(octave, rel=0.02) and same_tempo(found, bpm)


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [(100, 103.9, True), (100, 105, False), (140, 70, True), (71, 140, True), (100, 75, False), (100, 150, False)],
)
def test_within_four_percent(found, wanted, same):
    assert same_tempo(found, wanted) is same


def test_audio_without_a_beat_has_some_tempo():
    assert 70 <= tempo(np.zeros((2, 100), np.float32), RATE) <= 140
    assert 70 <= tempo(np.zeros((2, 3 * RATE), np.float32), RATE) <= 140
