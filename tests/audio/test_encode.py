"""Writing: what comes back from each format, and that nothing clips or is left half-written."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import soundfile

from songbloom.audio import WRITABLE, loudness, read, true_peak_db, write
from songbloom.errors import InvalidInput, OutputError

from .signals import RATE, make_music, snr_db

KINDS = [(name, subtype) for name, entry in WRITABLE.items() for subtype in entry.subtypes]
LEAST_SNR_DB = {"24": 125, "16": 77, "float": 200, "320": 25, "q8": 25, "192": 15}


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_round_trip_of_every_format(kind, subtype, music, tmp_path):
    path = tmp_path / f"song.{kind}"
    report = write(path, music, RATE, subtype=subtype)
    audio, rate = read(path)
    assert (rate, audio.shape) == (RATE, music.shape)
    assert snr_db(music, audio) > LEAST_SNR_DB[subtype]
    assert (report.path, report.format, report.subtype, report.gain_db) == (path, kind, subtype, 0.0)
    assert report.seconds == 4.0 and report.peak == pytest.approx(0.5)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_defaults_are_24_bit_and_the_asked_kinds_are_what_is_in_the_file(music, tmp_path):
    inside = {}
    for name in WRITABLE:
        write(tmp_path / f"song.{name}", music, RATE)
        info = soundfile.info(tmp_path / f"song.{name}")
        inside[name] = (info.format, info.subtype)
    assert inside == {
        "flac": ("FLAC", "PCM_24"),
        "wav": ("WAV", "PCM_24"),
        "mp3": ("MP3", "MPEG_LAYER_III"),
        "ogg": ("OGG", "VORBIS"),
        "opus": ("OGG", "OPUS"),
    }


@pytest.mark.parametrize(("kind", "bits"), [("flac", 16), ("flac", 24), ("wav", 16), ("wav", 24)])
def test_samples_are_rounded_so_a_file_read_and_written_again_is_the_same(kind, bits, music, tmp_path):
    first, second = tmp_path / f"first.{kind}", tmp_path / f"second.{kind}"
    full = music * 1.9
    full[:, :2] = [[1.0, -1.0]]
    write(first, full, RATE, subtype=str(bits))
    audio, _ = read(first)
    assert np.abs(audio - full)[:, 1:].max() <= 0.5 / 2 ** (bits - 1) + 1e-7
    assert audio[0, 0] == np.float32(1 - 1 / 2 ** (bits - 1)) and audio[0, 1] == -1.0
    write(second, audio, RATE, subtype=str(bits))
    np.testing.assert_array_equal(audio, read(second)[0])


def test_mp3_is_320_kb_per_second_constant(music, tmp_path):
    write(tmp_path / "song.mp3", music, RATE)
    assert (tmp_path / "song.mp3").stat().st_size * 8 / 4.0 == pytest.approx(320_000, rel=0.03)


@pytest.mark.parametrize(
    ("kind", "rate", "written"),
    [
        ("opus", 44_100, 48_000),
        ("opus", 96_000, 48_000),
        ("mp3", 96_000, 48_000),
        ("mp3", 22_050, 32_000),
        ("mp3", 44_100, 44_100),
        ("ogg", 44_100, 44_100),
        ("flac", 96_000, 96_000),
    ],
)
def test_resamples_only_where_the_format_needs_it(kind, rate, written, tmp_path):
    report = write(tmp_path / f"song.{kind}", make_music(1.0, rate), rate)
    info = soundfile.info(tmp_path / f"song.{kind}")
    assert info.samplerate == report.sample_rate == written
    assert info.duration == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("kind", WRITABLE)
@pytest.mark.parametrize("samples", [1, 100])
def test_very_short_audio(kind, samples, music, tmp_path):
    write(tmp_path / f"blip.{kind}", music[:, :samples], RATE, tags={"title": "blip"})
    assert read(tmp_path / f"blip.{kind}")[0].shape == (2, samples)


def test_the_format_can_differ_from_the_suffix(music, tmp_path):
    write(tmp_path / "song.bin", music, RATE, format="OGG")
    assert soundfile.info(tmp_path / "song.bin").format == "OGG"


@pytest.mark.parametrize("kind", ["flac", "wav"])
def test_too_loud_audio_is_scaled_and_not_clipped(kind, music, tmp_path, caplog):
    path = tmp_path / f"song.{kind}"
    with caplog.at_level(logging.WARNING):
        report = write(path, music * 5, RATE)  # peak 2.5
    audio, _ = read(path)
    assert report.gain_db == pytest.approx(-20 * math.log10(2.5), abs=1e-3)
    assert 0.999 < np.abs(audio).max() <= 1.0
    assert snr_db(music * 2, audio) > 90  # the same shape: nothing was cut off
    assert "2.50 of full scale" in caplog.text


def test_full_scale_audio_is_left_alone_in_lossless_formats(music, tmp_path, caplog):
    report = write(tmp_path / "song.flac", music * 2, RATE)
    assert (report.gain_db, caplog.text) == (0.0, "")


@pytest.mark.parametrize("kind", ["mp3", "ogg", "opus"])
def test_lossy_files_do_not_clip_when_decoded(kind, music, tmp_path):
    report = write(tmp_path / f"song.{kind}", music * 2, RATE)
    assert report.gain_db < -0.9
    assert np.abs(read(tmp_path / f"song.{kind}")[0]).max() < 1.0


def test_loudness_normalisation_reaches_its_target(music, tmp_path):
    report = write(tmp_path / "song.wav", music, RATE, subtype="float", loudness_lufs=-23)
    assert report.loudness_lufs == pytest.approx(-23)
    assert loudness(read(tmp_path / "song.wav")[0], RATE) == pytest.approx(-23, abs=0.05)


def test_loudness_gives_way_to_the_true_peak(music, tmp_path, caplog):
    report = write(tmp_path / "song.wav", music, RATE, subtype="float", loudness_lufs=0)
    audio, _ = read(tmp_path / "song.wav")
    assert true_peak_db(audio, RATE) == pytest.approx(-1, abs=0.01)
    assert report.loudness_lufs == pytest.approx(loudness(audio, RATE), abs=0.05)
    assert report.loudness_lufs < 0 and "would clip" in caplog.text


def test_silence_has_no_loudness_to_normalise(tmp_path, caplog):
    report = write(tmp_path / "song.flac", np.zeros((1, RATE), np.float32), RATE, loudness_lufs=-14)
    assert report.gain_db == 0 and "silent" in caplog.text


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"loudness_lufs": math.nan}, "loudness_lufs"),
        ({"loudness_lufs": 3.0}, "loudness_lufs"),
        ({"subtype": "12"}, "subtype"),
        ({"format": "wma"}, "format"),
        ({"tags": {"seed": 7}}, "tags"),
    ],
)
def test_refuses_bad_options_before_writing(options, field, music, tmp_path):
    with pytest.raises(InvalidInput) as caught:
        write(tmp_path / "song.flac", music, RATE, **options)
    assert caught.value.field == field and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["song", "song.m4a", "song.aiff"])
def test_refuses_an_ending_it_cannot_write(name, music, tmp_path):
    with pytest.raises(InvalidInput, match="flac, wav, mp3, ogg, opus"):
        write(tmp_path / name, music, RATE)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_refuses_samples_that_are_not_numbers(bad, music, tmp_path):
    broken = music.copy()
    broken[0, 9] = bad
    with pytest.raises(InvalidInput, match="NaN or infinite"):
        write(tmp_path / "song.flac", broken, RATE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("audio", "name", "why"),
    [
        (np.zeros((2, 0), np.float32), "a.flac", "empty"),
        (np.zeros(100, np.float32), "a.flac", r"\[channels, samples\]"),
        (np.zeros((2, 100), np.int16), "a.flac", "floating point"),
        (np.zeros((48_000, 2), np.float32), "a.flac", "transpose"),
        (np.zeros((3, 100), np.float32), "a.mp3", "up to 2 channels"),
        (np.broadcast_to(np.float32(0), (2, 2**30)), "a.wav", "too long for wav"),
    ],
)
def test_refuses_arrays_that_are_no_song(audio, name, why, tmp_path):
    with pytest.raises(InvalidInput, match=why):
        write(tmp_path / name, audio, RATE)


def test_refuses_a_sample_rate_of_zero(music, tmp_path):
    with pytest.raises(InvalidInput, match="sample_rate=0"):
        write(tmp_path / "song.flac", music, 0)


def test_a_bad_folder_is_found_before_the_work(music, tmp_path, monkeypatch):
    monkeypatch.setattr("songbloom.audio.encode._encode", lambda *_: pytest.fail("encoded first"))
    with pytest.raises(OutputError, match="does not exist; create it"):
        write(tmp_path / "no" / "song.flac", music, RATE)


def test_an_encoder_that_fails_leaves_nothing(music, tmp_path, monkeypatch):
    def broken(*_args, **_kwargs):
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile.SoundFile, "write", broken)
    with pytest.raises(OutputError, match=r"song\.flac"):
        write(tmp_path / "song.flac", music, RATE)
    assert not list(tmp_path.iterdir())
