from __future__ import annotations

import json

import pytest

from songbloom.lyrics import describe


def rows(path, *texts) -> str:
    path.write_text("\n".join(t if isinstance(t, str) else json.dumps(t) for t in texts), encoding="utf-8")
    return str(path)


def test_a_file_is_shown_with_sections_phonemes_length_and_warnings(run, tmp_path):
    (tmp_path / "a.txt").write_text("Verse 1:\nhello zzxqj\n\n[intro 3s]\n", encoding="utf-8")
    code, out, _ = run("lyrics", tmp_path / "a.txt")
    assert code == 0
    assert out == describe("Verse 1:\nhello zzxqj\n\n[intro 3s]\n").as_text()
    assert "[verse]" in out
    assert "HH AH0 L OW1" in out
    assert "[intro] x 3" in out


def test_a_models_vocabulary_prefix_and_processor_count(run, tmp_path, tiny_folder):
    (tmp_path / "a.txt").write_text("[verse] " + "love " * 100, encoding="utf-8")
    assert "too long" not in run("lyrics", tmp_path / "a.txt").out
    assert "the model reads 60" in run("lyrics", tmp_path / "a.txt", "--model-name", tiny_folder).out


def test_rows_are_phonemised_as_they_stand(run, tmp_path):
    path = rows(tmp_path / "x.jsonl", {"text": "Hello", "lang": "en"}, {"text": "妈妈", "processor": "pinyin"},
                {"text": "[verse] hello , [outro]", "processor": None})  # fmt: skip
    code, out, err = run("lyrics", "--input-jsonl", path)
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert [row["phonemes"] for row in found[:2]] == ["HH AH0 L OW1", " <ma1> <ma1> "]
    assert [section["kind"] for section in found[2]["sections"]] == ["verse", "outro"]
    assert all(isinstance(row["warnings"], list) for row in found)


def test_processor_of_the_command_line_is_for_rows_without_one(run, tmp_path):
    path = rows(tmp_path / "x.jsonl", {"text": "妈妈"}, {"text": "妈妈", "processor": "phoneme"})
    first, second = run("lyrics", "--input-jsonl", path, "--processor", "pinyin").out.splitlines()
    assert json.loads(first)["phonemes"] == " <ma1> <ma1> "
    assert "<" not in json.loads(second)["phonemes"]


def test_bad_rows_are_errors_in_their_place(run, tmp_path):
    path = rows(tmp_path / "x.jsonl", {"text": "a"}, "{", {"words": "a"}, {"text": 5}, {"text": "a", "processor": "x"},
                {"text": "la " * 40_000}, {"text": "b"})  # fmt: skip
    code, out, _ = run("lyrics", "--input-jsonl", path)
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [row.get("line") for row in found] == [None, 2, 3, 4, 5, 6, None]
    assert all("error" in row for row in found[1:6])
    assert found[2]["error"] == "text=None: is missing; a row needs text"


@pytest.mark.parametrize(
    "arguments", [[], ["a.txt", "--input-jsonl", "b.jsonl"], ["nowhere.txt"], ["--input-jsonl", "x"]]
)
def test_wrong_use(run, arguments):
    assert run("lyrics", *arguments).code == 2


def test_unknown_processor(run, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    outcome = run("lyrics", tmp_path / "a.txt", "--processor", "x")
    assert outcome.code == 2
    assert outcome.errors[0].startswith("songbloom: error: processor='x'")
