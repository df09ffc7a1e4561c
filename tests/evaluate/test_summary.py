from __future__ import annotations

from dataclasses import replace

import pytest

from songbloom.evaluate.held_out import held_out_song
from songbloom.evaluate.judge import SongMeasures
from songbloom.evaluate.summary import correlation, mean, summarise
from songbloom.evaluate.words import WordErrors

ASKED = [held_out_song(number) for number in range(4)]


def as_asked(number: int) -> SongMeasures:
    score = ASKED[number].score
    return SongMeasures(
        seconds=score.duration_s,
        ended=True,
        errors=WordErrors(number, 10),
        phone_error_sketch=0.0,
        phone_error_audio=0.5,
        style=score.card.style,
        voice=score.card.voice,
        bpm=score.bpm,
        key=score.card.key,
        mode=score.card.mode,
        pitch=60.0 + number,
        structure=True,
        chorus=None,
        distance_corpus=1.0,
        distance_noise=9.0,
        finite=True,
        peak=1.7,
        saved_peak=1.0,
        silence_s=0.2,
        stuck=False,
    )


def summary(**changes) -> dict:
    """Of four songs as they should be, the first one changed."""
    songs = [as_asked(number) for number in range(4)]
    return summarise(ASKED, [replace(songs[0], **changes), *songs[1:]])


def test_songs_as_they_should_be():
    found = summary()
    ones = ("style", "voice", "tempo", "key", "key_or_relative", "structure", "length", "ended", "clean")
    assert {name: found[name] for name in ones} == dict.fromkeys(ones, 1.0)
    assert found["wer"] == pytest.approx(6 / 40) and found["chorus"] is None


@pytest.mark.parametrize(
    ("changes", "falls", "stays"),
    [
        ({"style": "polka"}, ["style"], ["voice"]),
        ({"voice": "nobody"}, ["voice"], ["style"]),
        ({"bpm": ASKED[0].score.bpm * 1.06}, ["tempo"], ["key"]),
        ({"bpm": ASKED[0].score.bpm / 2}, [], ["tempo"]),
        ({"key": (ASKED[0].score.card.key + 7) % 12}, ["key", "key_or_relative"], ["tempo"]),
        ({"structure": False}, ["structure"], ["clean"]),
        ({"ended": False}, ["ended", "length"], ["clean"]),
        ({"seconds": ASKED[0].score.duration_s * 1.3}, ["length"], ["ended", "clean"]),
        ({"stuck": True}, ["clean", "clean_loops"], ["clean_peak"]),
        ({"silence_s": 1.1}, ["clean", "clean_silence"], ["clean_loops"]),
        ({"finite": False, "saved_peak": None}, ["clean", "clean_finite", "clean_peak"], ["clean_loops"]),
    ],
)
def test_one_fault_in_four_songs(changes, falls, stays):
    found = summary(**changes)
    assert {name: found[name] for name in falls} == dict.fromkeys(falls, 0.75)
    assert {name: found[name] for name in stays} == dict.fromkeys(stays, 1.0)


def test_the_relative_key_counts_apart():
    card = ASKED[0].score.card
    other = {"key": (card.key + (9 if card.mode == "major" else 3)) % 12}
    other["mode"] = "minor" if card.mode == "major" else "major"
    found = summary(**other)
    assert (found["key"], found["key_or_relative"]) == (0.75, 1.0)


def test_what_cannot_be_told_is_left_out():
    assert mean([None, True, False]) == 0.5 and mean([None]) is None
    assert summary(structure=None)["structure"] == 1.0
    assert correlation([(60, 1), (61, 2), (62, 3)]) == pytest.approx(1.0)
    assert correlation([(60, 1), (60, 2), (60, 3)]) is None and correlation([(60, 1)]) is None
