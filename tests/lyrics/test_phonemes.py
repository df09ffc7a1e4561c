"""Phoneme strings against the published system's (goldens/g2p.jsonl)."""

import json
from pathlib import Path

import pytest

from songbloom.errors import InvalidInput
from songbloom.lyrics import STRUCTURE_LABELS, phonemize, symbols, unpronounceable

GOLDENS = Path(__file__).parent / "goldens"
ROWS = [json.loads(line) for line in (GOLDENS / "g2p.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['processor']}:{row['text'][:20]!r}")
def test_phonemes_equal_the_published(row):
    assert phonemize(row["text"], row["processor"]) == row["phonemes"]


def test_symbol_table_and_labels_are_the_published():
    table = json.loads((GOLDENS / "symbols.json").read_text(encoding="utf-8"))
    assert list(symbols()) == table["symbols_sorted"]
    assert sorted(STRUCTURE_LABELS) == sorted(table["labels"])


def test_words_that_are_symbols_stay_raw():
    assert phonemize("I love my a b A") == "I L AH1 V my a b EY1"


def test_empty_items_survive():
    assert phonemize("la  la ") == "L AA1  L AA1 "


def test_a_lyric_is_the_sum_of_its_items():
    lyric = "[verse] Hello world. 你好世界 , [chorus] sing 2 times!"
    assert phonemize(lyric) == " ".join(phonemize(item) for item in lyric.split(" "))


def test_numbers_too_large_to_name_are_passed_on():
    # the published English path fails there and hands its normalised text on
    assert phonemize("1" * 37) == "1" * 37
    assert unpronounceable("1" * 37) == ["1" * 37]


def test_unknown_processor_is_an_error():
    with pytest.raises(InvalidInput, match="phoneme, pinyin"):
        phonemize("la", "ipa")


@pytest.mark.parametrize(
    ("text", "processor", "words"),
    [
        ("[verse] hello 你好 123 naïve café.", "phoneme", []),
        ("[verse] hello, привет, こんにちは you", "phoneme", ["привет", "こんにちは"]),
        ("sing 안녕 안녕 ok", "phoneme", ["안녕"]),
        ("[verse] 你好.世界", "pinyin", []),
        ("[verse] 你好 hello", "pinyin", ["hello"]),
        ("& ! …", "phoneme", []),
    ],
)
def test_unpronounceable_words_are_found(text, processor, words):
    assert unpronounceable(text, processor) == words
