"""The model that comes with the package: it is there, small, and makes songs out of words and style clips."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import songbloom
from songbloom import SongRequest, SongSettings
from songbloom.audio import read
from songbloom.checkpoints.registry import BUNDLED_FOLDER
from songbloom.evaluate.measures import spectral_distance_db, spectral_features
from songbloom.evaluate.recogniser import Recogniser
from songbloom.model.sketch_codes import phones_of

EXAMPLE = Path(__file__).parents[1] / "example"
CLIPS = sorted((EXAMPLE / "clips").glob("*.flac"))


@pytest.fixture(scope="module")
def mini():
    return songbloom.load("songbloom_mini", device="cpu")


@pytest.fixture(scope="module")
def request_():
    return SongRequest(
        lyrics="[verse]\nCome home tonight\nFollow the light",
        prompt_wav=EXAMPLE / "clips" / "folk.flac",
        settings=SongSettings(seed=3, steps=6, max_duration=6.5),
    )


@pytest.fixture(scope="module")
def song(mini, request_):
    return mini.generate(request_)


def test_files_fit_the_package():
    files = list((BUNDLED_FOLDER / "songbloom_mini").iterdir())
    assert sum(file.stat().st_size for file in files) <= 60e6
    assert {f.name for f in files} >= {"config.json", "model.safetensors", "vae.safetensors", "tokenizer.safetensors"}


def test_it_is_music_with_a_voice_and_not_noise(song):
    assert np.isfinite(song.audio).all() and 0.02 < np.sqrt(np.mean(song.audio**2)) < 0.5
    noise = np.random.default_rng(0).standard_normal((2, 48000 * 5)).astype(np.float32)
    to_noise, to_clip = (
        spectral_distance_db(spectral_features(song.audio, 48000), spectral_features(other, 48000))
        for other in (noise, read(EXAMPLE / "clips" / "folk.flac")[0])
    )
    assert to_clip < to_noise
    assert (phones_of(song.tokens) >= 0).mean() > 0.2


def test_same_seed_same_song_and_other_seeds_differ(mini, request_, song):
    assert np.array_equal(mini.generate(request_).tokens, song.tokens)
    other = replace(request_, settings=replace(request_.settings, seed=4))
    assert not np.array_equal(mini.generate(other).tokens, song.tokens)


def test_another_clip_makes_another_song(mini, request_, song):
    other = mini.generate(replace(request_, prompt_wav=EXAMPLE / "clips" / "rock.flac"))
    assert not np.array_equal(other.tokens[: len(song.tokens)], song.tokens[: len(other.tokens)])
    distance = spectral_distance_db(spectral_features(song.audio, 48000), spectral_features(other.audio, 48000))
    assert distance > 1.0


def test_examples_are_valid_requests_of_ten_seconds(mini):
    rows = [json.loads(line) for line in (EXAMPLE / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({row["idx"] for row in rows}) == len(rows) >= 4
    for row in rows:
        prepared = mini.prepare(SongRequest(lyrics=row["lyrics"], prompt_wav=EXAMPLE / row["prompt_wav"]))
        assert not [w for w in prepared.warnings if "pronunciation" in w]
        assert prepared.clip.shape[-1] == 480000
    assert len(CLIPS) >= 4


def test_the_recogniser_hears_the_corpus_voice():
    """On a clip of the corpus: some phones, not silence and not chatter."""
    audio, rate = read(EXAMPLE / "clips" / "piano_ballad.flac")
    assert 10 <= len(Recogniser().phones(audio, rate)) <= 120
