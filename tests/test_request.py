from __future__ import annotations

import math
import pickle

import pytest

from songbloom.errors import InvalidInput
from songbloom.request import MAX_SEED, SongRequest, SongSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", -5),
        ("steps", math.nan),
        ("steps", 10.0),
        ("steps", 101),
        ("steps", True),
        ("seed", -1),
        ("seed", MAX_SEED + 1),
        ("cfg_coef", -0.1),
        ("cfg_coef", 5.1),
        ("cfg_coef", math.nan),
        ("cfg_coef", "1.5"),
        ("top_k", -1),
        ("top_k", 1001),
        ("top_p", 1.5),
        ("top_p", None),
        ("temperature", math.inf),
        ("temperature", -1),
        ("diffusion_temperature", 2),
        ("max_duration", 0),
        ("max_duration", -3),
        ("max_duration", math.nan),
        ("guidance", "strong"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(InvalidInput) as caught:
        SongSettings(**{name: value})
    assert caught.value.field == name
    assert str(caught.value).startswith(f"{name}=")


def test_settings_at_their_limits():
    SongSettings(seed=MAX_SEED, cfg_coef=5, steps=100, top_k=0, top_p=1, temperature=0, guidance="none")


def test_unknown_setting_is_named():
    with pytest.raises(InvalidInput, match="speed=2: unknown setting; known are cfg_coef"):
        SongSettings.from_mapping({"speed": 2})
    assert SongSettings.from_mapping({"steps": 20}) == SongSettings(steps=20)


@pytest.mark.parametrize(
    "idx",
    [
        "",
        ".",
        "..",
        "a/b",
        "../a",
        "/etc/passwd",
        "a\\b",
        "C:",
        ".hidden",
        "a b",
        "a\0b",
        "x" * 101,
        "曲" * 34,
        3,
        None,
    ],
)
def test_idx_must_be_a_plain_file_name(idx):
    with pytest.raises(InvalidInput) as caught:
        SongRequest(lyrics="la", prompt_wav="clip.wav", idx=idx)
    assert caught.value.field == "idx"


@pytest.mark.parametrize("idx", ["a", "song-1_b.2", "曲", "x" * 100])
def test_idx_may_be(idx):
    assert SongRequest(lyrics="la", prompt_wav="clip.wav", idx=idx).idx == idx


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("lyrics", {"lyrics": None}),
        ("lyrics", {"lyrics": 5}),
        ("lyrics", {"lyrics": "broken \ud800"}),
        ("prompt_wav", {"prompt_wav": ""}),
        ("prompt_wav", {"prompt_wav": None}),
        ("prompt_wav", {"prompt_wav": ["clip.wav"]}),
        ("prompt_start", {"prompt_start": -1}),
        ("prompt_start", {"prompt_start": math.nan}),
        ("prompt_start", {"prompt_start": None}),
    ],
)
def test_other_fields(field, values):
    with pytest.raises(InvalidInput) as caught:
        SongRequest(**({"lyrics": "la", "prompt_wav": "clip.wav"} | values))
    assert caught.value.field == field


def test_invalid_input_survives_pickling():
    error = InvalidInput("steps", 0, "must be more")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.field, again.value) == (str(error), "steps", 0)
