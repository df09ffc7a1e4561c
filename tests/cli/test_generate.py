from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from songbloom import audio, pipeline
from songbloom.cli import generate
from tests.conftest import LYRICS


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def one(clip, quick) -> list:
    """Arguments for one song."""
    return ["generate", "--lyrics", LYRICS, "--prompt-wav", clip, *quick]


@pytest.fixture
def no_model(monkeypatch):
    """Fails the test if a model is loaded: the input should have been refused before."""

    def load(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(pipeline, "load", load)


def test_a_song_its_file_is_printed_and_progress_shown(run, one, tmp_path):
    code, out, err = run(*one)
    assert code == 0
    assert out == f"{tmp_path / 'out' / 'song.flac'}\n"
    assert names(tmp_path / "out") == ["song.flac", "song.json"]
    assert "s of song, about" in err
    assert "100%" in err
    assert audio.read_tags(tmp_path / "out" / "song.flac")["seed"] == "1"


def test_lyrics_from_a_file_or_stdin(run, one, tmp_path, monkeypatch):
    (tmp_path / "words.txt").write_bytes(b"\xef\xbb\xbf[verse]\r\nhello there\r\n")
    one[2] = f"@{tmp_path / 'words.txt'}"
    assert run(*one, "--idx", "a").code == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello you")))
    one[2] = "@-"
    assert run(*one, "--idx", "b").code == 0
    lyrics = {name: json.loads((tmp_path / "out" / f"{name}.json").read_text())["lyrics"] for name in "ab"}
    assert lyrics == {"a": "[verse]\r\nhello there\r\n", "b": "hello you"}


def test_samples_get_numbers_and_seeds_that_count_up(run, one, tmp_path):
    assert run(*one, "--n-samples", 2, "--format", "wav", "--subtype", "16", "--loudness", -20).code == 0
    assert names(tmp_path / "out") == ["song_0.json", "song_0.wav", "song_1.json", "song_1.wav"]
    seeds = [json.loads((tmp_path / "out" / f"song_{i}.json").read_text())["settings"]["seed"] for i in (0, 1)]
    assert seeds == [1, 2]


def test_existing_songs_are_replaced_or_left(run, one, tmp_path, monkeypatch):
    assert run(*one).code == 0
    path = tmp_path / "out" / "song.flac"
    whole = path.read_bytes()
    path.write_bytes(b"older")
    assert run(*one).code == 0
    assert path.read_bytes() == whole
    path.write_bytes(b"older")
    monkeypatch.setattr(pipeline, "load", None)
    code, out, err = run(*one, "--no-overwrite")
    assert (code, out, path.read_bytes()) == (0, "", b"older")
    assert "song is there already" in err


def test_a_bad_line_does_not_stop_the_others(run, quick, lines, tmp_path):
    silent = tmp_path / "silent.wav"
    audio.write(silent, np.zeros((1, 96000), dtype=np.float32), 48000)
    path = lines({"idx": "a"}, "{", {"idx": "a"}, {"idx": "b", "prompt_wav": "silent.wav"}, {"idx": "c", "lyrics": ""},
                 {"idx": "../d"}, {"idx": "e", "steps": 12})  # fmt: skip
    outcome = run("generate", "--input-jsonl", path, *quick)
    assert outcome.code == 1
    assert names(tmp_path / "out") == ["a.flac", "a.json", "e.flac", "e.json"]
    found = [error.removeprefix("songbloom: error: songs.jsonl line ") for error in outcome.errors]
    assert sorted(error.split(":")[0] for error in found) == ["2", "3", "4", "5", "6"]
    assert json.loads((tmp_path / "out" / "e.json").read_text())["settings"]["steps"] == 12


def test_every_line_is_checked_before_the_first_song(run, quick, lines, monkeypatch):
    order = []
    make, prepare = generate._make, pipeline.SongBloom.prepare
    monkeypatch.setattr(generate, "_make", lambda *a: (order.append("make"), make(*a)))
    monkeypatch.setattr(pipeline.SongBloom, "prepare", lambda *a: (order.append("check"), prepare(*a))[1])
    path = lines({"idx": "a"}, {"idx": "b"}, {"idx": "c", "lyrics": ""})
    assert run("generate", "--input-jsonl", path, *quick).code == 1
    assert order[:4] == ["check", "check", "check", "make"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--steps", "0"], "steps"),
        (["--steps", "-3"], "steps"),
        (["--cfg-coef", "nan"], "cfg_coef"),
        (["--cfg-coef", "5.5"], "cfg_coef"),
        (["--max-duration", "nan"], "max_duration"),
        (["--top-k", "-1"], "top_k"),
        (["--temperature", "inf"], "temperature"),
        (["--n-samples", "0"], "n_samples"),
        (["--seed", "-1"], "seed"),
        (["--seed", str(2**63)], "seed"),
        (["--format", "midi"], "format"),
        (["--subtype", "float"], "subtype"),
        (["--loudness", "3"], "loudness"),
        (["--loudness", "nan"], "loudness"),
        (["--idx", "../song"], "idx"),
        (["--idx", "/tmp/song"], "idx"),
        (["--prompt-start", "-1"], "prompt_start"),
        (["--guidance", "much"], "guidance"),
        (["--lyrics", "@nowhere.txt"], "lyrics"),
        (["--input-jsonl", "x.jsonl"], "input_jsonl"),
    ],
)
def test_bad_options_are_refused_before_a_model_is_loaded(run, one, no_model, arguments, field):
    outcome = run(*one, *arguments)
    assert outcome.code == 2
    assert len(outcome.errors) == 1
    assert outcome.errors[0].startswith(f"songbloom: error: {field}=")


@pytest.mark.parametrize("left_out", ["--lyrics", "--prompt-wav"])
def test_lyrics_and_clip_are_both_wanted(run, one, no_model, left_out):
    at = one.index(left_out)
    outcome = run(*one[:at], *one[at + 2 :])
    assert outcome.code == 2
    assert "give --lyrics and --prompt-wav, or --input-jsonl" in outcome.err


def test_all_lines_bad_loads_no_model(run, quick, lines, no_model):
    assert run("generate", "--input-jsonl", lines("{", "["), *quick).code == 1


@pytest.mark.parametrize("field", ["device", "dtype", "model_name"])
def test_unknown_device_dtype_model(run, one, field):
    outcome = run(*one, "--" + field.replace("_", "-"), "nonsense")
    assert outcome.code == 2
    assert outcome.errors[0].startswith(f"songbloom: error: {field}='nonsense'")


@pytest.mark.parametrize("lyrics", ["", "   ", "\U0001f600\x00\x07", "la " * 40_000])
def test_lyrics_that_cannot_be_sung(run, one, tmp_path, lyrics):
    one[2] = lyrics
    outcome = run(*one)
    assert outcome.code == 2
    assert outcome.errors[0].startswith("songbloom: error: lyrics=")
    assert len(outcome.errors[0]) < 400
    assert names(tmp_path / "out") == []


def test_odd_lyrics_are_sung_with_warnings_and_kept_in_the_tags(run, one, tmp_path):
    one[2] = "[purple] hello \U0001f600 wor\x07ld\x00"
    outcome = run(*one)
    assert outcome.code == 0
    assert "songbloom: warning: unknown tag [purple]" in outcome.err
    assert json.loads((tmp_path / "out" / "song.json").read_text(encoding="utf-8"))["lyrics"] == one[2]
    assert "hello" in audio.read_tags(tmp_path / "out" / "song.flac")["lyrics"]


def test_unwritable_output(run, one, no_model, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        outcome = run(*one, "--output-dir", folder)
        assert outcome.code == 1
        assert str(folder) in outcome.errors[0]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_output_without_permission(run, one, no_model, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    outcome = run(*one)
    assert outcome.code == 1
    assert "no permission" in outcome.errors[0]


def test_full_disk(run, one, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    outcome = run(*one)
    assert outcome.code == 1
    assert "no space left" in outcome.errors[0]
    assert names(tmp_path / "out") == []
    monkeypatch.undo()
    assert run(*one).code == 0


def test_a_broken_song_does_not_stop_the_others(run, quick, lines, tmp_path, monkeypatch):
    make = pipeline.SongBloom.song_of

    def broken(self, prepared, seed, patches):
        song = make(self, prepared, seed, patches)
        if song.idx == "a":
            song.audio[0, 5] = np.nan
        return song

    monkeypatch.setattr(pipeline.SongBloom, "song_of", broken)
    outcome = run("generate", "--input-jsonl", lines({"idx": "a"}, {"idx": "b"}), *quick)
    assert outcome.code == 1
    assert "line 1: audio=" in outcome.errors[0]
    assert names(tmp_path / "out") == ["b.flac", "b.json"]


def test_interrupted_between_blocks_and_the_second_run_is_clean(run, quick, lines, tmp_path, monkeypatch):
    path = lines({"idx": "a"}, {"idx": "b"})
    compose, songs = pipeline.SongBloom.compose, []

    def interrupted(self, tasks, **prior):
        songs.append(tasks)
        for patch in compose(self, tasks, **prior):
            if len(songs) == 2:
                raise KeyboardInterrupt
            yield patch

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.SongBloom, "compose", interrupted)
        outcome = run("generate", "--input-jsonl", path, *quick)
    assert outcome.code == 130
    assert "interrupted" in outcome.errors[0]
    assert names(tmp_path / "out") == ["a.flac", "a.json"]
    assert run("generate", "--input-jsonl", path, *quick, "--no-overwrite").out == f"{tmp_path / 'out' / 'b.flac'}\n"
    assert names(tmp_path / "out") == ["a.flac", "a.json", "b.flac", "b.json"]


def test_interrupted_while_writing_leaves_nothing(run, one, tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    assert run(*one).code == 130
    assert names(tmp_path / "out") == []


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_ctrl_c_in_a_terminal(one, tmp_path):
    one[one.index("--max-duration") + 1] = 20
    one[one.index("--steps") + 1] = 100
    command = [sys.executable, "-m", "songbloom.cli", *map(str, one)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    seen = b""
    while b"left" not in seen:  # the first block is done
        seen += os.read(process.stderr.fileno(), 1000)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"songbloom: error: interrupted" in err
    assert b"Traceback" not in err
    assert out == b""
    assert names(tmp_path / "out") == []
    assert time.monotonic() - began < 30


def test_of_several_takes_those_that_are_there_stay(run, one, tmp_path):
    one += ["--n-samples", 2]
    assert run(*one).code == 0
    first, second = (tmp_path / "out" / f"song_{i}.flac" for i in (0, 1))
    whole = second.read_bytes()
    first.write_bytes(b"mine")
    second.unlink()
    outcome = run(*one, "--no-overwrite")
    assert (outcome.code, outcome.out) == (0, f"{second}\n")
    assert first.read_bytes() == b"mine" and second.read_bytes() == whole


@pytest.mark.parametrize("name", ["song.flac", "song.json"])
def test_where_no_file_can_be_written_is_told_first(run, one, tmp_path, no_model, name):
    (tmp_path / "out" / name).mkdir(parents=True)
    outcome = run(*one)
    assert outcome.code == 1 and f"{name}: is a directory" in outcome.errors[0]


def test_a_number_beyond_all_bounds_is_a_bad_line_and_no_more(run, quick, lines, tmp_path):
    path = lines({"idx": "a", "cfg_coef": 10**400}, {"idx": "b"})
    outcome = run("generate", "--input-jsonl", path, *quick)
    assert outcome.code == 1 and "line 1: cfg_coef" in outcome.err
    assert names(tmp_path / "out") == ["b.flac", "b.json"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_clip_whose_name_is_not_utf8(run, one, clip, tmp_path):
    odd = tmp_path / os.fsdecode(b"cl\xffip.wav")
    odd.write_bytes(Path(clip).read_bytes())
    one[one.index("--prompt-wav") + 1] = odd
    assert run(*one).code == 0
    assert json.loads((tmp_path / "out" / "song.json").read_text("utf-8"))["prompt"] == "cl\ufffdip.wav"
