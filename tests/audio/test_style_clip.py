"""The style clip: ten seconds, one channel, or a reason why not."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from songbloom.audio import read_style_clip
from songbloom.errors import InvalidInput

from .signals import RATE, make_music


def save(path, audio, rate=RATE, subtype="FLOAT"):
    soundfile.write(path, audio.T, rate, subtype=subtype)
    return path


def refusal(path, field="prompt_wav", **options):
    with pytest.raises(InvalidInput) as caught:
        read_style_clip(path, **options)
    assert caught.value.field == field
    return str(caught.value)


@pytest.mark.parametrize("rate", [48_000, 44_100, 8_000])
def test_takes_the_first_ten_seconds_at_48_khz(rate, tmp_path):
    clip = read_style_clip(save(tmp_path / "clip.wav", make_music(12.0, rate), rate))
    assert (clip.dtype, clip.shape) == (np.float32, (1, 10 * RATE))


def test_starts_where_it_is_told(tmp_path):
    audio = make_music(5.0)
    clip = read_style_clip(save(tmp_path / "clip.wav", audio), start_s=2.5)
    np.testing.assert_allclose(clip[0], audio[:, round(2.5 * RATE) :].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_averages_any_number_of_channels(channels, tmp_path):
    audio = make_music(1.0, channels=channels)
    clip = read_style_clip(save(tmp_path / "clip.wav", audio))
    np.testing.assert_allclose(clip, audio.mean(axis=0, keepdims=True), atol=1e-6)


def test_one_second_is_enough_and_less_is_not(tmp_path):
    assert read_style_clip(save(tmp_path / "one.wav", make_music(1.0))).shape == (1, RATE)
    assert "0.10 s" in refusal(save(tmp_path / "short.wav", make_music(0.1)))
    assert "after --prompt-start 1.5" in refusal(save(tmp_path / "two.wav", make_music(2.0)), start_s=1.5)


def test_refuses_silence_but_not_a_quiet_clip(tmp_path):
    assert "silent" in refusal(save(tmp_path / "zero.wav", np.zeros((2, RATE), np.float32)))
    assert "silent" in refusal(save(tmp_path / "hiss.wav", make_music(1.0) * 10 ** (-66 / 20)))
    assert read_style_clip(save(tmp_path / "quiet.wav", make_music(1.0) * 10 ** (-60 / 20))).any()


def test_refuses_channels_that_cancel_out(tmp_path):
    audio = make_music(1.0, channels=1)
    assert "cancel" in refusal(save(tmp_path / "phase.wav", np.concatenate([audio, -audio])))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_samples_that_are_not_numbers(bad, tmp_path):
    audio = make_music(1.0)
    audio[1, 5000] = bad
    assert "not numbers" in refusal(save(tmp_path / "bad.wav", audio))


def test_refuses_integers_stored_as_floats(tmp_path):
    assert "far outside" in refusal(save(tmp_path / "int.wav", make_music(1.0) * 32768))


def test_bad_samples_outside_the_part_used_do_not_matter(tmp_path):
    audio = make_music(3.0)
    audio[:, : RATE // 2] = np.nan
    assert np.isfinite(read_style_clip(save(tmp_path / "part.wav", audio), start_s=1.0)).all()


def test_refuses_missing_directory_text_and_beyond_the_end(tmp_path):
    (tmp_path / "text.wav").write_text("this is a letter, not a song\n" * 200)
    assert "no such file" in refusal(tmp_path / "missing.wav")
    assert "is a directory" in refusal(tmp_path)
    assert "not audio" in refusal(tmp_path / "text.wav")
    assert "beyond its end" in refusal(save(tmp_path / "clip.wav", make_music(2.0)), start_s=7)


@pytest.mark.parametrize("start", [-1.0, float("nan"), float("inf")])
def test_refuses_a_start_that_is_no_time(start, tmp_path):
    refusal(tmp_path / "any.wav", field="prompt_start", start_s=start)
