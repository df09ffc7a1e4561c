"""Measures that tell noise, silence and clipping from music."""

from __future__ import annotations

import math

import numpy as np
import pytest

from songbloom.audio import clipped_fraction, longest_silence_s, spectral_flatness

from .signals import RATE, make_music


def test_flatness_orders_noise_music_and_tones():
    noise = np.random.default_rng(0).standard_normal((1, 2 * RATE)).astype(np.float32)
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)[None].astype(np.float32)
    assert spectral_flatness(noise) == pytest.approx(math.exp(-np.euler_gamma), abs=0.02)
    assert spectral_flatness(tone) < 1e-4
    assert spectral_flatness(tone) < spectral_flatness(make_music()) < spectral_flatness(noise) / 5


def test_flatness_leaves_out_silence():
    noise = np.random.default_rng(0).standard_normal((1, RATE)).astype(np.float32)
    padded = np.concatenate([noise[:, :40_960], np.zeros((1, 10 * 2048), np.float32)], axis=1)
    assert spectral_flatness(padded) == pytest.approx(spectral_flatness(noise[:, :40_960]))
    assert math.isnan(spectral_flatness(np.zeros((2, RATE), np.float32)))
    assert math.isnan(spectral_flatness(noise[:, :100]))


@pytest.mark.parametrize(
    ("silent", "expected"),
    [([], 0.0), ([(0.0, 0.5)], 0.5), ([(1.5, 2.0)], 0.5), ([(0.2, 0.4), (1.0, 1.75)], 0.75), ([(0, 2)], 2.0)],
)
def test_longest_silence(silent, expected):
    audio = np.full((2, 2 * RATE), 0.5, np.float32)
    for start, end in silent:
        audio[:, int(start * RATE) : int(end * RATE)] = 1e-4
    assert longest_silence_s(audio, RATE) == pytest.approx(expected, abs=1e-4)


def test_one_sounding_channel_is_not_silence():
    audio = np.zeros((2, RATE), np.float32)
    audio[1] = 0.5
    assert longest_silence_s(audio, RATE) == 0.0
    assert longest_silence_s(audio * 1e-3, RATE, threshold_db=-90) == 0.0
    assert longest_silence_s(np.zeros((1, 0), np.float32), RATE) == 0.0


def test_clipped_fraction_counts_samples_at_full_scale():
    audio = np.full((2, 100), 0.9, np.float32)
    audio[0, :10] = 1.0
    audio[1, :10] = -1.5
    assert clipped_fraction(audio) == pytest.approx(0.1)
    assert clipped_fraction(audio, threshold=0.5) == 1.0
    assert clipped_fraction(audio[:, :0]) == 0.0
