from __future__ import annotations

import re
from dataclasses import asdict, replace

import numpy as np
import pytest
import soundfile
import torch

import songbloom
from songbloom import pipeline
from songbloom.errors import Cancelled, CheckpointError, InvalidInput
from songbloom.request import MAX_SEED
from tests.conftest import GOLDENS


def test_same_seed_same_song_and_another_seed_another(tiny, request_for):
    first, again = tiny.generate(request_for()), tiny.generate(request_for())
    other = tiny.generate(request_for(seed=2))
    np.testing.assert_array_equal(first.audio, again.audio)
    np.testing.assert_array_equal(first.tokens, again.tokens)
    assert not np.array_equal(first.tokens, other.tokens)
    assert np.abs(first.audio - other.audio).mean() > 1e-2


def test_another_clip_makes_another_song(tiny, request_for, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 96000)
    soundfile.write(tmp_path / "noise.wav", noise, 48000)
    request = request_for()
    other = tiny.generate(replace(request, prompt_wav=tmp_path / "noise.wav"))
    assert np.abs(tiny.generate(request).audio - other.audio).mean() > 1e-3


def test_samples_side_by_side_are_the_single_songs(tiny, request_for):
    together = tiny.generate_samples(request_for(), 3)
    for i, song in enumerate(together):
        alone = tiny.generate(request_for(seed=1 + i))
        assert song.settings == alone.settings
        np.testing.assert_array_equal(song.tokens, alone.tokens)
        np.testing.assert_allclose(song.audio, alone.audio, atol=1e-3)


def test_seeds_go_on_from_0_after_the_largest(tiny, request_for):
    songs = tiny.generate_samples(request_for(seed=MAX_SEED, max_duration=0.5), 2)
    assert [song.settings.seed for song in songs] == [MAX_SEED, 0]


def test_song_carries_all_that_made_it(tiny, request_for):
    song = tiny.generate(request_for(idx="one"))
    assert song.audio.dtype == np.float32
    assert song.audio.shape == (2, len(song.tokens) * 1920)
    assert song.latents.shape == (8, len(song.tokens))
    assert (song.idx, song.model, song.prompt_name) == ("one", "tiny", "clip.wav")
    assert song.phonemes.startswith("[verse]")
    assert None not in asdict(song.settings).values()


def test_a_seed_is_drawn_and_reported(tiny, request_for):
    drawn = tiny.generate(request_for(seed=None))
    np.testing.assert_array_equal(tiny.generate(request_for(seed=drawn.settings.seed)).audio, drawn.audio)


def test_patches_come_block_by_block_and_make_the_song(tiny, request_for):
    request = request_for()
    patches = list(tiny.patches(tiny.prepare(request)))
    assert [p.block for p in patches] == list(range(len(patches)))
    assert all(p.tokens.shape == (16,) and p.latents.shape == (8, 16) for p in patches)
    song = tiny.generate(request)
    np.testing.assert_array_equal(np.concatenate([p.tokens for p in patches]), song.tokens)


def test_progress_tells_seconds_done_and_left(tiny, request_for):
    seen = []
    request = request_for("[inst] [inst]", max_duration=3.0)
    song = tiny.generate(request, progress=seen.append)
    assert [round(p.song_s, 2) for p in seen] == [0.64 * (i + 1) for i in range(len(seen))]
    assert seen[-1].song_s == pytest.approx(song.seconds)
    assert [p.left_s is None for p in seen] == [p.song_s > 2.0 for p in seen]
    assert seen[0].left_s == pytest.approx(seen[0].elapsed_s * (2.0 - 0.64) / 0.64)
    assert [p.expected_s for p in seen] == [max(2.0, p.song_s) for p in seen]


def test_cancelling_stops_after_the_block(tiny, request_for):
    asked = []
    with pytest.raises(Cancelled, match="song: cancelled after 1 blocks"):
        tiny.generate(request_for(), cancelled=lambda: not asked.append(1))
    assert asked == [1]


def test_max_duration_bounds_the_song(tiny, request_for):
    short, long = tiny.generate(request_for(max_duration=0.7)), tiny.generate(request_for(max_duration=2.0))
    assert short.seconds < long.seconds <= 2.0 + tiny.seconds_per_block


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_makes_finite_audio(tiny_folder, request_for, dtype):
    model = songbloom.load(str(tiny_folder), dtype=dtype, device="cpu")
    assert model.net.dtype == getattr(torch, dtype)
    assert all(p.dtype == torch.float32 for p in model.vae.parameters())
    song = model.generate(request_for())
    assert np.isfinite(song.audio).all()
    assert np.abs(song.audio).max() > 0


@pytest.mark.parametrize(
    ("field", "settings"),
    [("steps", {"steps": 5}), ("max_duration", {"max_duration": 301.0})],
)
def test_settings_beyond_the_model_are_refused(tiny, request_for, field, settings):
    with pytest.raises(InvalidInput) as caught:
        tiny.prepare(request_for(**settings))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("lyrics", "remedy"),
    [
        ("", "nothing to sing"),
        (" \n\t", "nothing to sing"),
        ("\U0001f600\u200d\x07", "nothing to sing"),
        ("[verse] " + "love " * 100, "reads 60; shorten"),
        ("la " * 40_000, "bytes are too long"),
    ],
)
def test_lyrics_that_cannot_be_sung(tiny, request_for, lyrics, remedy):
    with pytest.raises(InvalidInput, match=remedy) as caught:
        tiny.prepare(request_for(lyrics))
    assert caught.value.field == "lyrics"


@pytest.mark.parametrize(
    ("lyrics", "warning"),
    [
        ("[inst] [inst] [outro]", "no vocal section"),
        ("[purple monkey] la la", r"unknown tag \[purple monkey\]"),
        ("[verse] hello \U0001f600 wor\x07ld", "characters that cannot be sung"),
    ],
)
def test_odd_lyrics_make_a_song_and_a_warning(tiny, request_for, lyrics, warning):
    prepared = tiny.prepare(request_for(lyrics))
    assert any(re.search(warning, text) for text in prepared.warnings), prepared.warnings


def write_text(path):
    """A text file with the name of an audio file."""
    path.write_text("this is no audio")


def write_nan(path):
    soundfile.write(path, np.full(96000, np.nan, dtype=np.float32), 48000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda path: soundfile.write(path, np.zeros(96000), 48000), "is silent"),
        (lambda path: soundfile.write(path, np.ones(4800) / 2, 48000), "only 0.10 s"),
        (write_nan, "NaN"),
        (write_text, "audio"),
        (lambda path: None, "no such file|does not exist|missing"),
        (lambda path: path.mkdir(), "director|folder"),
    ],
    ids=["silent", "short", "nan", "text", "missing", "directory"],
)
def test_bad_style_clips(tiny, request_for, tmp_path, make, remedy):
    path = tmp_path / "bad.wav"
    make(path)
    with pytest.raises(InvalidInput, match=remedy) as caught:
        tiny.prepare(replace(request_for(), prompt_wav=path))
    assert caught.value.field == "prompt_wav"
    assert str(path) in str(caught.value)


def test_load_by_name_wants_the_files(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        songbloom.load("songbloom_full_150s", local_dir=tmp_path, device="cpu")
    for help_text in ("songbloom download songbloom_full_150s", "--local-dir", "--model-name songbloom_mini"):
        assert help_text in str(caught.value)
    with pytest.raises(InvalidInput, match="did you mean songbloom_full_150s"):
        songbloom.load("songbloom_full_150", local_dir=tmp_path)


def test_load_a_published_folder_by_its_path(request_for):
    model = songbloom.load(str(GOLDENS), device="cpu")
    assert model.name == "model"
    assert model.generate(request_for()).audio.size


def test_config_is_read_without_weights(tiny, tiny_folder, monkeypatch):
    monkeypatch.setattr(pipeline, "load_folder", None)
    assert pipeline.read_model_config(str(tiny_folder)) == tiny.config
    assert pipeline.read_model_config(str(GOLDENS)).net == tiny.config.net


def test_a_released_model_takes_its_seconds_per_tag_from_the_table(tmp_path, tiny_folder):
    (tmp_path / "songbloom_full_240s").symlink_to(tiny_folder)
    by_name = pipeline.read_model_config("songbloom_full_240s", local_dir=tmp_path)
    assert by_name.seconds_per_tag == 5.0


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:0", "tpu", ""])
def test_unknown_devices(device):
    with pytest.raises(InvalidInput) as caught:
        pipeline.choose_device(device)
    assert caught.value.field == "device"


def test_device_and_dtype():
    cpu = torch.device("cpu")
    assert pipeline.choose_device("cpu") == cpu
    assert pipeline.choose_dtype("auto", cpu) == torch.float32
    assert pipeline.choose_dtype("float16", cpu) == torch.float16
    with pytest.raises(InvalidInput, match="must be auto, float32"):
        pipeline.choose_dtype("int8", cpu)
