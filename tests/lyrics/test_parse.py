"""Pasted lyrics to sections, and the published string against the published clean-up."""

import contextlib
import json
import random
import time
from pathlib import Path

import pytest

from songbloom.errors import InvalidInput
from songbloom.lyrics import Section, parse
from songbloom.lyrics.parse import MAX_BYTES, MAX_TAGS

GOLDENS = Path(__file__).parent / "goldens"
ROWS = [
    json.loads(line) for line in (GOLDENS / "clean_lyrics.jsonl").read_text(encoding="utf-8").splitlines()
]

# text -> (what parse makes of it, why that is better than the published clean-up)
BETTER = {
    "[verse], hello\nworld": (
        "[verse] hello. world",
        "a line break ends a sentence, as in every pasted lyric",
    ),
    "no tags at all, just text!": (
        "[verse] no tags at all. just text.",
        "without a section the model gets no structure at all, which it has never been trained on",
    ),
    "[verse] ...": ("[verse]", "a sentence without words is nothing to sing"),
    "[chorus] 你。好 [verse] 我、他": (
        "[chorus] 你.好 , [verse] 我.他",
        "the phoneme step would read 、 as the comma that separates sections",
    ),
    "": (None, "an empty lyric is a mistake the user should hear of"),
    "   ": (None, "so is a blank one"),
}


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row["text"] not in BETTER], ids=lambda row: repr(row["text"])
)
def test_clean_up_equals_the_published(row):
    assert parse(row["text"]).published == row["cleaned"]


@pytest.mark.parametrize("text", BETTER, ids=repr)
def test_clean_up_is_better_than_the_published(text):
    ours, why = BETTER[text]
    assert why
    if ours is None:
        with pytest.raises(InvalidInput, match="nothing to sing"):
            parse(text)
    else:
        assert parse(text).published == ours
    assert ours != next(row["cleaned"] for row in ROWS if row["text"] == text)


def test_what_people_paste():
    lyrics = parse(
        "Verse 1:\r\nIn the morning light\r\nI see you there\r\n\r\n(Chorus)\r\nLa la, oh!\r\n"
        "(ooh yeah)\r\n\r\n[Verse 2]\r\nDon’t stop — believing\r\n[Instrumental 3s]\r\n[outro: 2s]"
    )
    assert lyrics.sections == [
        Section("verse", "In the morning light. I see you there"),
        Section("chorus", "La la. oh. ooh yeah"),
        Section("verse", "Don't stop.believing"),
        Section("inst", tags=3),
        Section("outro", tags=2),
    ]
    assert lyrics.warnings == []
    assert lyrics.published == (
        "[verse] In the morning light. I see you there , [chorus] La la. oh. ooh yeah , "
        "[verse] Don't stop.believing , [inst] [inst] [inst] , [outro] [outro]"
    )


def test_lines_of_a_section():
    assert parse("[verse] One two.three. four").sections[0].lines == ["One two", "three", "four"]


def test_a_strict_song_stays_as_it_is():
    song = (
        "[intro] [intro] , [verse] 风轻轻吹过古道.岁月在墙上刻下记号 , [chorus] Fly away. fly away , "
        "[inst] [inst] , [bridge] hold on , [outro] [outro] [outro]"
    )
    assert parse(song).published == song
    assert parse(song).warnings == []


def test_paragraphs_without_headings():
    lyrics = parse("I love you\nso much\n\nla la la\nbaby\n\nI hate you\nso much\n\nLa la la,\nbaby!")
    assert [section.kind for section in lyrics.sections] == ["verse", "chorus", "verse", "chorus"]
    assert "no section headings" in lyrics.warnings[0]


def test_chinese_headings_and_full_width_marks():
    lyrics = parse("【主歌】\n你好，世界！\n２个人\n副歌：\n啦啦啦…\n\n[尾奏　３秒]")
    assert lyrics.published == "[verse] 你好.世界.两个人 , [chorus] 啦啦啦, [outro] [outro] [outro]"


@pytest.mark.parametrize(("seconds_per_tag", "tags"), [(1.0, 10), (5.0, 2), (30.0, 1)])
def test_lengths_become_tags_of_the_model(seconds_per_tag, tags):
    assert parse("[intro 10s] [verse] a", seconds_per_tag=seconds_per_tag).sections[0].tags == tags


def test_endless_lengths_are_shortened():
    lyrics = parse("[intro 99999s] [verse] a")
    assert lyrics.sections[0].tags == MAX_TAGS
    assert "shortened" in lyrics.warnings[0]


@pytest.mark.parametrize(
    ("text", "published", "warning"),
    [
        ("[verse] hi 🎉\x07there", "[verse] hi there", "left out characters that cannot be sung: 🎉 U+0007"),
        ("[Weird Part] hi", "[verse] hi", "unknown tag [Weird Part]: read as [verse]"),
        ("[verse] hi [x2] you", "[verse] hi you", "unknown tag [x2]: left out"),
        ("[inst] [outro]", "[inst] , [outro]", "no vocal section"),
        ("[verse] [chorus] a", "[verse] , [chorus] a", "a section [verse] has no words"),
        ("[intro] oh yeah [verse] a", "[intro] , oh yeah , [verse] a", "words under [intro]"),
        ("hello [chorus] a", "[verse] hello , [chorus] a", "before the first heading"),
        ("[chorus] la [verse] b [chorus]", "[chorus] la , [verse] b , [chorus] la", "repeats the one before"),
        ("[verse 10s] a", "[verse] a", "left to its words"),
        ("[verse] " + "a" * 100, "[verse] " + "a" * 60, "longer than 60 letters"),
    ],
)
def test_odd_input_is_used_with_a_warning(text, published, warning):
    lyrics = parse(text)
    assert lyrics.published == published
    assert any(warning in told for told in lyrics.warnings), lyrics.warnings


@pytest.mark.parametrize("text", ["", " \n\t ", "🎉🎉", "...", "\x00", "[x2]", "\ufeff"])
def test_nothing_to_sing_is_an_error(text):
    with pytest.raises(InvalidInput, match="^lyrics=.*nothing to sing"):
        parse(text)


def test_a_whole_book_is_an_error():
    assert parse("la " * (MAX_BYTES // 3)).sections
    with pytest.raises(InvalidInput, match="too long"):
        parse("啦" * (MAX_BYTES // 3 + 1))


@pytest.mark.parametrize("text", [None, 3, b"la", ["la"]])
def test_lyrics_must_be_text(text):
    with pytest.raises(InvalidInput, match="must be text"):
        parse(text)


@pytest.mark.parametrize("seconds_per_tag", [0, -1, float("nan")])
def test_seconds_per_tag_must_be_positive(seconds_per_tag):
    with pytest.raises(InvalidInput, match="seconds_per_tag"):
        parse("la", seconds_per_tag=seconds_per_tag)


@pytest.mark.parametrize(
    "text", ["[" * 50_000, ". " * 30_000, "- " * 30_000, " " * 90_000 + "a", "1," * 30_000]
)
def test_hostile_input_takes_no_time(text):
    start = time.perf_counter()
    with contextlib.suppress(InvalidInput):
        parse(text)
    assert time.perf_counter() - start < 20  # a quadratic pattern takes minutes here


_PIECES = [
    "[verse]",
    "[Verse 1]",
    "[inst 5s]",
    "(Chorus)",
    "Bridge:",
    "[x2]",
    "[foo",
    "foo]",
    "【a】",
    "\n",
    "\n\n",
    "\r\n",
    " ",
    ".",
    ",",
    ". ,",
    " , ",
    "!",
    "…",
    "。",
    "、",
    "hello",
    "don’t",
    "‘s’",
    "你好",
    "世",
    "2个",
    "3.14",
    "$5",
    "é",
    "ß",
    "🎉",
    "\x00",
    "\u200b",
    "�",
    "-",
    "—",
    "/",
    "&",
    "[intro] [intro]",
    "[chorus]",
    "[outro]",
    "a",
    "--",
    "'",
    '"',
    "(ok)",
    "1,000",
    "%",
    "~",
    "ﬁ",
    "İ",
    "٣",
    "①",
    "x:",
    "Verse",
    "end",
    "[end]",
    "[]",
    "[verse",
    "verse]",
]


def _anything(rng):
    if rng.random() < 0.7:
        return "".join(rng.choice(_PIECES) + rng.choice(["", " "]) for _ in range(rng.randint(0, 14)))
    tops = (0x300, 0x3000, 0xFFFF, 0x10FFFF)
    return "".join(chr(rng.randrange(rng.choice(tops))) for _ in range(rng.randint(0, 30)))


@pytest.mark.parametrize("seed", range(8))
def test_published_strings_parse_to_themselves(seed):
    rng = random.Random(seed)
    for _ in range(250):
        text = _anything(rng)
        try:
            published = parse(text).published
        except InvalidInput:
            continue
        assert parse(published).published == published, text


def test_many_paragraphs_take_no_time_of_their_square():
    words = [f"{a}{b}" for a in "abcdefghijklmnopqrstuvwxyz" for b in "abcdefghijklmnopqrstuvwxyz"]
    lyrics = parse("\n\n".join(words * 3))
    assert {section.kind for section in lyrics.sections} == {"chorus"} and len(lyrics.sections) == 3 * len(words)
