import pytest

from songbloom.lyrics.headings import Heading, from_brackets, from_line, is_note


@pytest.mark.parametrize(
    ("inner", "heading"),
    [
        ("verse", Heading("verse")),
        ("VERSE 2", Heading("verse")),
        ("Verse 1: Adele", Heading("verse")),
        ("Pre-Chorus", Heading("verse")),
        ("Final Chorus x2", Heading("chorus")),
        ("hook", Heading("chorus")),
        ("Refrain", Heading("chorus")),
        ("instrumental", Heading("inst")),
        ("Guitar Solo", Heading("inst")),
        ("Interlude 8s", Heading("inst", 8.0)),
        ("intro 10s", Heading("intro", 10.0)),
        ("intro: 80s", Heading("intro", 80.0)),
        ("Intro: 80s synth", Heading("intro")),
        ("90s Guitar Solo", Heading("inst")),
        ("Guitar Solo 30s", Heading("inst", 30.0)),
        ("Interlude (strings) 40s", Heading("inst", 40.0)),
        ("Instrumental break, 1970s style", Heading("inst")),
        ("Intro '80s style 12 sec", Heading("intro", 12.0)),
        ("intro: 10 sec", Heading("intro", 10.0)),
        ("outro 1:05", Heading("outro", 65.0)),
        ("前奏 5秒", Heading("intro", 5.0)),
        ("副歌2", Heading("chorus")),
        ("end", Heading("outro")),
        ("universe", None),
        ("x2", None),
        ("Part A", None),
    ],
)
def test_bracketed(inner, heading):
    assert from_brackets(inner) == heading


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Verse 1:", ("verse", "")),
        ("VERSE", ("verse", "")),
        ("verse 2", ("verse", "")),
        ("(Chorus)", ("chorus", "")),
        ("(Chorus) la la", ("chorus", "la la")),
        ("Chorus: la la", ("chorus", "la la")),
        ("Chorus x2:", ("chorus", "")),
        ("**Bridge**", ("bridge", "")),
        ("## Intro", ("intro", "")),
        ("Intro 12s:", ("intro", "")),
        ("主歌:", ("verse", "")),
        ("Interlude:", ("inst", "")),
    ],
)
def test_lines_that_are_headings(line, found):
    heading, words = from_line(line)
    assert (heading.kind, words) == found


@pytest.mark.parametrize(
    "line",
    [
        "bridge over troubled water",
        "break",
        "hook",
        "chorus",
        "(break) my heart",
        "Stop: in the name",
        "(hey)",
        "Solo",
    ],
)
def test_lines_that_are_words(line):
    assert from_line(line) is None


def test_remarks_are_no_sections():
    assert all(map(is_note, ["x2", "00:12.30", "Male voice", "ti: My song", "whispered"]))
    assert not is_note("part a")
