from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from songbloom import audio
from songbloom.errors import OutputError
from songbloom.request import SongSettings
from songbloom.song import Song

SONG = Song(
    audio=(0.5 * np.sin(np.arange(48000) / 20) * np.ones((2, 1))).astype(np.float32),
    sample_rate=48000,
    tokens=np.zeros(16, dtype=np.int64),
    latents=np.zeros((8, 16), dtype=np.float32),
    idx="one",
    lyrics='[verse] 你好 "hello"\n',
    phonemes="[verse] n i3 h ao3",
    prompt_name="clip.wav",
    model="tiny",
    settings=SongSettings(seed=7, steps=10),
    ended=True,
)


@pytest.mark.parametrize("suffix", ["flac", "wav", "mp3", "ogg", "opus"])
def test_file_tags_and_json_beside_it_tell_how_the_song_was_made(tmp_path, suffix):
    path = tmp_path / f"one.two.{suffix}"
    report = SONG.save(path)
    assert report.seconds == pytest.approx(1.0, abs=0.05)
    beside = json.loads((tmp_path / "one.two.json").read_text(encoding="utf-8"))
    assert beside["lyrics"] == SONG.lyrics
    assert beside["settings"]["seed"] == 7
    assert (beside["seconds"], beside["ended"], beside["model"]) == (1.0, True, "tiny")
    tags = audio.read_tags(path)
    assert tags["lyrics"].strip() == SONG.lyrics.strip()
    assert tags["seed"] == "7"
    assert json.loads(tags["settings"])["steps"] == 10


def test_both_files_or_none(tmp_path):
    (tmp_path / "one.json").mkdir()
    with pytest.raises(OutputError):
        SONG.save(tmp_path / "one.flac")
    assert [p.name for p in tmp_path.iterdir()] == ["one.json"]


def test_loud_song_is_not_clipped(tmp_path):
    replace(SONG, audio=SONG.audio * 4).save(tmp_path / "loud.wav", subtype="float")
    samples, _ = audio.read(tmp_path / "loud.wav")
    assert 0.99 < np.abs(samples).max() <= 1.0
    assert np.mean(np.abs(samples) > 0.999) < 0.1


def test_loudness(tmp_path):
    report = SONG.save(tmp_path / "level.flac", loudness_lufs=-20.0)
    assert report.loudness_lufs == pytest.approx(-20.0, abs=0.1)


def test_what_cannot_be_written_leaves_the_earlier_song(tmp_path, monkeypatch):
    path = tmp_path / "one.flac"
    SONG.save(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    louder = replace(SONG, audio=SONG.audio * 1.5)
    with monkeypatch.context() as patched:
        patched.setattr("songbloom.song.write", _full)
        with pytest.raises(OutputError):
            louder.save(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    (tmp_path / "one.json").unlink()
    (tmp_path / "one.json").mkdir()
    with pytest.raises(OutputError, match="is a directory"):
        louder.save(path)
    assert path.read_bytes() == before["one.flac"]


def _full(*_, **__):
    raise OutputError("no space left")
