"""Tone rules in words the reference rows do not hold."""

import pytest

from songbloom.lyrics import chinese, phonemize
from songbloom.lyrics.tone_sandhi import change_tones, group


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("不怕", "b u2 p a4"),
        ("看不懂", "k an4 b u5 d ong3"),
        ("一天", "y i4 t ian1"),
        ("一段", "y i2 d uan4"),
        ("老虎", "l ao2 h u3"),
        ("纸老虎", "zh ir3 l ao2 h u3"),
        ("蒙古包", "m eng2 g u3 b ao1"),
        ("走吧", "z ou3 b a5"),
        ("孩子们", "h ai2 z i05 m en5"),
        ("试试", "sh ir4 sh ir5"),
        ("嗯", "EE en1"),  # read as 恩: the table has no syllable without a vowel
    ],
)
def test_tones_change(text, phonemes):
    assert " ".join(chinese.phonemize(text)) == phonemes


def test_first_stays_first():
    assert change_tones("第一次", "m", ["i4", "i4", "i4"])[1] == "i1"


def test_number_sequences_keep_yi():
    assert change_tones("二一零", "m", ["er4", "i1", "ing2"]) == ["er4", "i1", "ing2"]


def test_grouping_joins_a_verb_repeated_over_yi():
    words = [("听", "v"), ("一", "m"), ("听", "v")]
    assert group(words, lambda word: ["1"] * len(word)) == [("听一听", "v")]


def test_grouping_joins_third_tones_up_to_three_characters():
    finals = {
        "好": ["ao3"],
        "喜欢": ["i3", "uan5"],
        "领导": ["ing3", "ao3"],
        "你": ["i3"],
        "老板": ["ao3", "an3"],
    }
    assert group([("好", "a"), ("喜欢", "v")], lambda w: finals[w]) == [("好喜欢", "a")]
    assert group([("领导", "n"), ("老板", "n")], lambda w: finals[w]) == [("领导", "n"), ("老板", "n")]


def test_characters_without_a_reading_are_left_out():
    assert chinese.phonemize("噷") == []
    assert phonemize("你噷") == "n i3"


def test_pinyin_changes_third_tones_from_left_to_right():
    assert phonemize("展览馆里", "pinyin") == " <zhan2> <lan2> <guan2> <li3> "
