"""Loudness and true peak against values known from their standards."""

from __future__ import annotations

import math

import numpy as np
import pytest

from songbloom.audio import loudness, true_peak_db
from songbloom.errors import InvalidInput

from .signals import RATE, make_music


def tone(frequency, seconds=3.0, amplitude=1.0, phase=0.0, channels=1, rate=RATE):
    time = np.arange(round(seconds * rate)) / rate
    return np.repeat(amplitude * np.sin(2 * np.pi * frequency * time + phase)[None], channels, 0).astype(
        np.float32
    )


def test_loudness_of_the_reference_tone():
    # BS.1770: a full-scale 997 Hz sine in one front channel reads -3.01 LUFS; in two, 3.01 dB more.
    assert loudness(tone(997), RATE) == pytest.approx(-3.01, abs=0.05)
    assert loudness(tone(997, channels=2), RATE) == pytest.approx(0.0, abs=0.05)
    assert loudness(tone(997, amplitude=0.1, rate=44_100), 44_100) == pytest.approx(-23.01, abs=0.05)


def test_silence_and_scraps_have_no_loudness():
    assert loudness(np.zeros((2, RATE), np.float32), RATE) == -math.inf
    assert loudness(tone(997, seconds=0.3), RATE) == -math.inf
    assert loudness(tone(997, amplitude=1e-5), RATE) == -math.inf  # below the absolute gate


def test_loudness_takes_up_to_five_channels():
    assert math.isfinite(loudness(make_music(1.0, channels=5), RATE))
    with pytest.raises(InvalidInput, match="6 channels"):
        loudness(make_music(1.0, channels=6), RATE)


def test_true_peak_finds_the_peak_between_samples():
    # A quarter of the rate, 45 degrees off: every sample is at 0.707 while the wave reaches 1.
    audio = tone(RATE / 4, phase=math.pi / 4, seconds=1.0)
    audio *= np.minimum(1, np.minimum(np.arange(RATE), np.arange(RATE)[::-1]) / 4800).astype(np.float32)
    assert np.abs(audio).max() == pytest.approx(0.7071, abs=1e-3)
    assert true_peak_db(audio, RATE) == pytest.approx(0.0, abs=0.05)


def test_true_peak_does_not_depend_on_where_blocks_end():
    audio = tone(997, seconds=21.0, amplitude=0.5, channels=2)
    fade = np.minimum(1, np.minimum(np.arange(audio.shape[1]), np.arange(audio.shape[1])[::-1]) / 4800)
    assert true_peak_db(audio * fade.astype(np.float32), RATE) == pytest.approx(-6.02, abs=0.01)


def test_true_peak_of_silence_and_of_one_sample():
    assert true_peak_db(np.zeros((2, 100), np.float32), RATE) == -math.inf
    assert true_peak_db(np.full((1, 1), 0.5, np.float32), RATE) == pytest.approx(-6.02, abs=0.1)


def test_true_peak_in_the_last_channel_counts():
    audio = np.zeros((3, RATE), np.float32)
    audio[2] = tone(997, seconds=1.0, amplitude=0.25)[0]
    assert true_peak_db(audio, RATE) == pytest.approx(-12.04, abs=0.1)
