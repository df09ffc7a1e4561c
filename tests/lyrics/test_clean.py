import pytest

from songbloom.lyrics import clean


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        ("Don’t say ‘love’ or ’til", "Don't say love or 'til"),
        ("goin’ home", "goin' home"),
        ("“quoted” «and» this", "quoted and this"),
        ("love(me)do", "love me do"),
        ("wait—what – no - yes", "wait.what.no.yes"),
        ("- a bullet", "a bullet"),
        ("twenty-one rock-'n'-roll", "twenty-one rock-'n'-roll"),
        ("one / two", "one . two"),
        ("and/or", "and.or"),
        ("1,000,000 at 3.14", "1000000 at 3 point 14"),
        ("$5.50 & $1", "5 dollars 50 and 1 dollar"),
        ("50% at 10:30, 24/7", "50 percent at 10 30. 24 7"),
        ("*stars* _and_ #tags", "stars and tags"),
        ("爱 你", "爱.你"),
        ("爱 you 你", "爱 you 你"),
    ],
)
def test_a_line(line, cleaned):
    assert clean.clean_line(line) == cleaned


def test_dropped_characters_are_named_once_and_joiners_silently_dropped():
    text, dropped = clean.keep_writable("a\u200d🎉b\ufe0f🎉\x01\u3000Ａ")
    assert text == "ab A"
    assert dropped == ["🎉", "\x01"]


def test_all_line_ends_are_one():
    assert clean.keep_writable("a\r\nb\rc\u2028d\x0be")[0] == "a\nb\nc\nd\ne"


def test_lines_join_as_sentences():
    assert clean.join_lines(["one.", "two", "", "三", "四"]) == "one. two. 三.四"
