from __future__ import annotations

import numpy as np
import pytest

from songbloom.audio.key import find_key, relative

RATE = 48000
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
THIRD = {"major": 4, "minor": 3}


def tones(*notes: int, seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    hertz = [440 * 2 ** ((note - 69) / 12) for note in notes]
    return sum(np.sin(2 * np.pi * k * f * time) / k**2 for f in hertz for k in (1, 2, 3))


def song(tonic: int, mode: str) -> np.ndarray:
    """Up and down the scale, then the tonic chord."""
    scale = [60 + tonic + step for step in (*SCALES[mode], 12)]
    melody = [tones(note, seconds=0.4) for note in (*scale, *scale[::-1])]
    chord = tones(60 + tonic, 60 + tonic + THIRD[mode], 67 + tonic, seconds=2)
    return 0.1 * np.stack([np.concatenate([*melody, chord])] * 2).astype(np.float32)


@pytest.mark.parametrize("tonic", [0, 5, 9])
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_the_key_of_a_scale_and_its_chord(tonic, mode):
    assert find_key(song(tonic, mode), RATE) == (tonic, mode)


def test_silence_after_the_last_chord_does_not_matter():
    assert find_key(np.pad(song(7, "minor"), ((0, 0), (0, 2 * RATE))), RATE) == (7, "minor")


def test_the_ending_tells_a_key_from_its_relative():
    c_major = song(0, "major")
    other_end = c_major.copy()
    other_end[:, -2 * RATE :] = 0.1 * tones(57, 60, 64, seconds=2)
    assert find_key(c_major, RATE) == (0, "major")
    assert find_key(other_end, RATE) == relative(0, "major") == (9, "minor")
    assert relative(*relative(3, "minor")) == (3, "minor")


def test_silence_has_some_key():
    assert find_key(np.zeros((2, 100), np.float32), RATE) == (0, "major")
