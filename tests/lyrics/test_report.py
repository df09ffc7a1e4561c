import json
import subprocess
import sys

import pytest

from songbloom.errors import InvalidInput
from songbloom.lyrics import Pace, describe, phonemize, symbols
from songbloom.lyrics.report import syllables

SONG = "[intro 4s]\n[verse]\nHello my world\nsing again\n[chorus]\n你好世界"


def test_sections_lengths_and_phonemes():
    report = describe(SONG)
    assert [(s.kind, s.tags, s.lines) for s in report.sections] == [
        ("intro", 4, []),
        ("verse", 0, ["Hello my world", "sing again"]),
        ("chorus", 0, ["你好世界"]),
    ]
    assert report.phonemes == phonemize(report.published)
    assert report.sections[2].phonemes == ["n i2 h ao3 sh ir4 j ie4"]
    assert report.sections[0].seconds == 4.0
    assert report.sections[1].seconds == pytest.approx(7 * 0.3 + 2 * 0.6)
    assert report.seconds == pytest.approx(sum(s.seconds for s in report.sections))
    assert report.warnings == []


@pytest.mark.parametrize(
    ("line", "processor", "count"),
    [
        ("I love my baby", "phoneme", 5),
        ("你好世界", "phoneme", 4),
        ("你好世界", "pinyin", 4),
        ("hello 你", "pinyin", 3),
    ],
)
def test_syllables(line, processor, count):
    assert syllables(line, processor) == count


def test_dictionary_and_text_forms():
    report = describe(SONG)
    assert json.loads(json.dumps(report.as_dict()))["sections"][1]["lines"] == [
        "Hello my world",
        "sing again",
    ]
    text = report.as_text()
    assert "[intro] x 4  about 4 s" in text
    assert "  Hello my world\n    HH AH0 L OW1 my W ER1 L D\n" in text


def test_too_long_names_the_place_of_the_cut():
    report = describe(SONG, max_tokens=15)
    assert report.tokens == len([t for t in report.phonemes.split(" ") if t])
    (warning,) = report.warnings
    assert warning.startswith(
        f"too long: {report.tokens} tokens, the model reads 15; cut in section 2 [verse]"
    )
    assert '"Hello my world"' in warning
    assert describe(SONG, max_tokens=report.tokens).warnings == []


def test_phonemes_outside_the_vocabulary_are_named_and_not_counted():
    vocab = ["", "[verse]", *(s for s in symbols() if s != "ao3")]
    report = describe("[verse] 你好", vocab=vocab)
    assert report.warnings == ["not in the model's vocabulary, left out: ao3"]
    assert report.tokens == 4


def test_words_nobody_can_pronounce_are_named():
    assert describe("[verse] hello привет.").warnings == ["no pronunciation for: привет"]


def test_as_given_is_not_cleaned_up():
    report = describe("hello, A股!", as_given=True)
    assert report.phonemes == "HH AH0 L OW1 , EY1 g u3 !"
    assert describe("", as_given=True).phonemes == ""
    assert describe("", as_given=True).sections == []


def test_errors():
    with pytest.raises(InvalidInput, match="lyrics"):
        describe("")
    with pytest.raises(InvalidInput, match="too long"):
        describe("la" * 60_000, as_given=True)
    with pytest.raises(InvalidInput, match="processor"):
        describe("la", processor="ipa")
    with pytest.raises(InvalidInput, match="seconds_per_tag"):
        describe("la", pace=Pace(tag_s=0), as_given=True)


def test_import_loads_no_dictionary():
    heavy = ("jieba", "pypinyin", "wordsegment", "torch")
    code = f"import sys, songbloom.lyrics; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
