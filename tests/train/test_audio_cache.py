"""The decoded corpus: appending, repairing, splitting."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from songbloom.errors import InvalidInput
from songbloom.train.audio_cache import AudioCache


def write_song(folder: Path, name: str, samples: int, *, rate: int = 48000, held_out: bool | None = None) -> np.ndarray:
    audio = np.random.default_rng(samples).integers(-20000, 20000, (samples, 2)).astype(np.int16)
    soundfile.write(folder / f"{name}.flac", audio, rate)
    if held_out is not None:
        (folder / f"{name}.json").write_text(json.dumps({"held_out": held_out}))
    return audio


def cache_of(run: Path, corpus: Path) -> AudioCache:
    run.mkdir(exist_ok=True)
    cache = AudioCache(run, 48000, 2)
    cache.add_folder(corpus)
    return cache


def test_songs_are_read_back_exactly_and_new_ones_are_appended(tmp_path: Path) -> None:
    first = write_song(tmp_path, "b", 1000)
    cache_of(tmp_path / "run", tmp_path)
    # a name that sorts before what the cache holds must not move it; leftovers of an interrupted copy are dropped
    second = write_song(tmp_path, "a", 1500)
    with (tmp_path / "run/audio.i16").open("ab") as samples:
        samples.write(b"rubbish!")
    cache = cache_of(tmp_path / "run", tmp_path)
    assert [song["name"] for song in cache.songs] == ["b.flac", "a.flac"]
    assert torch.equal(cache.read(0, 0, 1000), torch.from_numpy(first.T.astype(np.float32) / 32768))
    assert torch.equal(cache.read(1, 200, 50), torch.from_numpy(second[200:250].T.astype(np.float32) / 32768))
    assert (tmp_path / "run/audio.i16").stat().st_size == 2500 * 4


def test_held_out_songs_are_never_trained_on(tmp_path: Path) -> None:
    for i in range(4):
        write_song(tmp_path, f"{i}", 500 + i, held_out=i % 2 == 0)
    assert cache_of(tmp_path / "run", tmp_path).split(1) == ([0], [1, 3])


def test_without_labels_the_last_songs_are_held_out(tmp_path: Path) -> None:
    for i in range(3):
        write_song(tmp_path, f"{i}", 500 + i)
    cache = cache_of(tmp_path / "run", tmp_path)
    assert cache.split(1) == ([2], [0, 1])
    assert cache.split(3) == ([], [0, 1, 2])


def test_unusable_corpora_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no \\*.flac"):
        cache_of(tmp_path / "run", tmp_path)
    write_song(tmp_path, "slow", 500, rate=44100)
    with pytest.raises(InvalidInput, match="44100"):
        cache_of(tmp_path / "run", tmp_path)


def test_songs_of_the_same_names_in_another_corpus_are_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_song(tmp_path / name, "song", 1000 + len(name) + ord(name))
    cache_of(tmp_path / "run", tmp_path / "a")
    cache = cache_of(tmp_path / "run", tmp_path / "b")
    assert [song["length"] for song in cache.songs] == [1098, 1099]
    assert len(cache_of(tmp_path / "run", tmp_path / "a").songs) == 2


def test_a_corpus_that_was_moved_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_song(tmp_path / "a", "song", 1000)
    (tmp_path / "a/corpus.json").write_text('{"seed": 1}')
    cache_of(tmp_path / "run", tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert len(cache_of(tmp_path / "run", tmp_path / "b").songs) == 1


def test_parts_are_no_songs_and_a_broken_song_is_named(tmp_path: Path) -> None:
    write_song(tmp_path, "whole", 1000)
    (tmp_path / ".song000001.flac").write_bytes(b"fLaC")
    assert len(cache_of(tmp_path / "run", tmp_path).songs) == 1
    (tmp_path / "broken.flac").write_bytes(b"fLaC and no more")
    with pytest.raises(InvalidInput, match=r"corpus=.*broken\.flac.*cannot be read"):
        cache_of(tmp_path / "run", tmp_path)
