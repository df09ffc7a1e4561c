from __future__ import annotations

import json

import pytest

from songbloom.cli.jsonl import read_requests, read_rows
from songbloom.errors import InvalidInput
from songbloom.request import SongSettings


def error_of(found, number) -> InvalidInput:
    error = dict(found)[number]
    assert isinstance(error, InvalidInput)
    return error


def test_lines_become_requests_and_settings_of_a_line_win(lines, tmp_path):
    path = lines(
        {"idx": "a", "prompt_wav": "clips/x.wav", "steps": 20, "prompt_start": 3}, "", {"idx": 7, "seed": None}
    )
    (one, first), (three, second) = read_requests(path, SongSettings(steps=50, seed=4), 1.5)
    assert (one, three) == (1, 3)
    assert first.prompt_wav == tmp_path / "clips" / "x.wav"
    assert (first.settings.steps, first.settings.seed, first.prompt_start) == (20, 4, 3)
    assert (second.idx, second.settings.steps, second.settings.seed, second.prompt_start) == ("7", 50, 4, 1.5)


@pytest.mark.parametrize(
    ("line", "field", "remedy"),
    [
        ("not json", "line", "is not JSON"),
        ('{"idx": "a"', "line", "is not JSON"),
        ("[" * 100_000, "line", "is not JSON"),
        ("[1]", "line", "is not a JSON object"),
        ("null", "line", "is not a JSON object"),
        ({"idx": "a", "speed": 2}, "speed", "unknown key; known are idx, lyrics"),
        ({"idx": None}, "idx", "is missing"),
        ({"idx": "a", "lyrics": None}, "lyrics", "is missing"),
        ({"idx": "a", "prompt_wav": None}, "prompt_wav", "is missing"),
        ({"idx": "../a"}, "idx", "must be 1 to 100 letters"),
        ({"idx": True}, "idx", "must be 1 to 100 letters"),
        ({"idx": "a", "prompt_wav": 3}, "prompt_wav", "audio file"),
        ({"idx": "a", "steps": 0}, "steps", "from 1 to 100"),
        ('{"idx": "a", "lyrics": "la", "prompt_wav": "x", "steps": NaN}', "steps", "from 1 to 100"),
        ({"idx": "a", "steps": "20"}, "steps", "from 1 to 100"),
        ({"idx": "a", "lyrics": "\ud800"}, "lyrics", "broken characters"),
    ],
)
def test_a_bad_line_is_an_error_in_its_place_and_the_next_one_is_read(lines, line, field, remedy):
    found = read_requests(lines({"idx": "first"}, line, {"idx": "last"}), SongSettings())
    assert [number for number, _ in found] == [1, 2, 3]
    assert error_of(found, 2).field == field
    assert remedy in error_of(found, 2).remedy
    assert dict(found)[3].idx == "last"


@pytest.mark.parametrize("again", ["one", "ONE", "o\u006ee"])
def test_the_later_of_two_lines_with_one_idx_is_the_error(lines, again):
    found = read_requests(lines({"idx": "one"}, {"idx": again}), SongSettings())
    assert dict(found)[1].idx == "one"
    assert "line 1 makes this song already" in str(error_of(found, 2))


def test_encodings(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"text": "a"}).encode() + b'\r\n{"text": "\xff"}\r\n')
    (_, first), (_, second) = read_rows(path)
    assert first == {"text": "a"}
    assert "not UTF-8" in str(second)


@pytest.mark.parametrize("make", ["missing", "directory", "empty"])
def test_files_that_hold_nothing(tmp_path, make):
    path = tmp_path / "x.jsonl"
    if make == "directory":
        path.mkdir()
    elif make == "empty":
        path.write_text("\n\n")
    with pytest.raises(InvalidInput) as caught:
        read_requests(path, SongSettings())
    assert caught.value.field == "input_jsonl"
