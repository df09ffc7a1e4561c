"""Form of token sequences written by hand: 10 tokens a second, a phone lasts 2, an instrumental tag 1 s."""

from __future__ import annotations

import numpy as np
import pytest

from songbloom.corpus.phones import PHONE_INDEX
from songbloom.evaluate.structure import SungForm, WrittenSection, longest_run, written_sections
from songbloom.model.sketch_codes import LOWEST, PITCHES, REST, VOICED

RATE = 10.0
LYRICS = "[intro] [intro] , [verse] HH AH0 L OW1 . , [inst] [inst] [inst] [inst] , [chorus] W ER1 L D . , [outro]"


def sing(text: str, note: int = 60) -> list[int]:
    return [PHONE_INDEX[p] * PITCHES + note - LOWEST for p in text.split() for _ in range(2)]


def play(seconds: float) -> list[int]:
    return [VOICED + k // 5 % 4 for k in range(round(seconds * RATE))]


def form(codes: list[int], lyrics: str = LYRICS) -> SungForm:
    return SungForm(np.array(codes, np.int64), written_sections(lyrics), RATE)


def song(intro: float = 2, inst: float = 4, outro: float = 2, extra: str = "", rest: int = 0) -> list[int]:
    first, second = sing("HH AH L OW"), sing("W ER L D")
    return [*play(intro), *first, *play(inst / 2), *sing(extra), *play(inst / 2), *second, *play(outro), *[REST] * rest]


def test_sections_are_read_off_the_phonemes():
    sections = written_sections(LYRICS)
    assert [(s.name, s.tags, len(s.phones)) for s in sections] == [
        ("intro", 2, 0), ("verse", 1, 4), ("inst", 4, 0), ("chorus", 1, 4), ("outro", 1, 0),
    ]  # fmt: skip
    assert written_sections("[verse] S . , [verse] S .") == [WrittenSection("verse", 1, (PHONE_INDEX["S"],))] * 2


@pytest.mark.parametrize(
    ("codes", "holds"),
    [
        (song(), True),
        (song(intro=1), True),
        (song(intro=0.9), False),
        (song(inst=2.2), True),
        (song(inst=1.8), False),
        (song(outro=1), True),
        (song(outro=0.9), False),
        (song(outro=0.5, rest=16), False),  # rests are no music
        (song(extra="S S"), True),  # half of it is still without voice
        (song(inst=3, extra="S S"), False),
        (play(10), False),
        ([], False),
    ],
)
def test_voice_stays_out_of_instrumental_parts(codes, holds):
    assert form(codes).instrumentals_hold(1.0) is holds


def test_a_middle_part_in_the_wrong_place_does_not_count():
    codes = [*play(2), *sing("HH AH"), *play(4), *sing("L OW W ER L D"), *play(2)]
    assert form(codes).instrumentals_hold(1.0) is False


def test_songs_without_instrumental_parts_are_left_out():
    assert form(sing("S AH"), "[verse] S AH1 .").instrumentals_hold(1.0) is None


def test_a_longer_tag_asks_for_more():
    assert form(song(intro=2), "[intro] , [verse] HH AH0 L OW1 W ER1 L D .").instrumentals_hold(5.0) is False


TWICE = "[chorus] HH AH0 L OW1 . , [verse] S IY1 . , [chorus] HH AH0 L OW1 ."


@pytest.mark.parametrize(
    ("second", "share"),
    [
        (sing("HH AH L OW"), 1.0),
        (sing("HH AH L OW", 65), 0.0),
        (sing("HH AH") + sing("L OW", 65), 0.5),
        (sing("HH AH"), 1.0),  # a phone left out is the words' affair
        ([], 0.0),
    ],
)
def test_a_repeated_chorus_keeps_its_melody(second, share):
    assert form([*sing("HH AH L OW"), *play(1), *sing("S IY"), *play(1), *second], TWICE).chorus_kept() == share


def test_a_chorus_that_begins_with_the_phone_before_it_is_compared_phone_by_phone():
    """In the second one its first phone cannot be told from the verse's last."""
    lyrics = "[chorus] L AH0 HH OW1 . , [verse] S IY1 L . , [chorus] L AH0 HH OW1 ."
    notes = {"L": 60, "AH": 62, "HH": 64, "OW": 65}
    chorus = [code for phone, note in notes.items() for code in sing(phone, note)]
    codes = [*chorus, *play(1), *sing("S IY"), *sing("L"), *chorus[2:]]
    assert form(codes, lyrics).chorus_kept() == 1.0


def test_without_a_repeated_chorus_there_is_nothing_to_tell():
    assert form(song()).chorus_kept() is None


def test_longest_run():
    assert longest_run(np.array([True, False, True, True])) == 2
    assert longest_run(np.zeros(0, bool)) == 0
