from __future__ import annotations

import numpy as np

from songbloom.evaluate.voice import voice_features

RATE = 48000


def voice(formant_hz: float, level: float = 1.0) -> np.ndarray:
    """A pulse train through a resonance, on and off twice a second, over a soft hiss."""
    time = np.arange(2 * RATE) / RATE
    harmonics = np.arange(1, 80) * 200.0
    weights = 1 / (1 + ((harmonics - formant_hz) / 200) ** 2)
    sung = (weights[:, None] * np.sin(2 * np.pi * harmonics[:, None] * time)).sum(0) * (time * 4 % 2 < 1)
    hiss = 0.01 * np.random.default_rng(0).standard_normal(len(time))
    return (level * np.stack([0.1 * sung + hiss] * 2)).astype(np.float32)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(voice_features(a, RATE) - voice_features(b, RATE)))


def test_formants_tell_and_the_level_does_not():
    assert distance(voice(700), voice(700, 0.2)) < 1 < 10 < distance(voice(700), voice(1100))


def test_what_is_softer_than_the_voice_hardly_counts():
    music = voice(700)
    time = np.arange(music.shape[1]) / RATE
    band = (0.05 * np.sin(2 * np.pi * 3000 * time) * (time * 4 % 2 >= 1)).astype(np.float32)
    assert distance(music, music + band) < 0.3 * distance(music, voice(1100))


def test_short_and_silent_audio_is_finite():
    assert np.isfinite(voice_features(np.zeros((2, 100), np.float32), RATE)).all()
