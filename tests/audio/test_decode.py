"""Reading: formats, rates, channels, seeking, and files that are not what they seem."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from songbloom.audio import READABLE, read
from songbloom.errors import InvalidInput

from .signals import RATE, make_music, snr_db

SUBTYPES = {"ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}


def save(path, audio, rate=RATE, container=None, subtype=None):
    soundfile.write(path, audio.T, rate, format=container, subtype=subtype)
    return path


@pytest.mark.parametrize("kind", READABLE)
def test_reads_every_listed_kind(kind, music, tmp_path):
    container, subtype = SUBTYPES.get(kind, (kind.upper(), "PCM_16"))
    audio, rate = read(save(tmp_path / f"clip.{kind}", music, RATE, container, subtype))
    assert (audio.dtype, rate, audio.shape) == (np.float32, RATE, music.shape)
    assert snr_db(music, audio) > (15 if kind in SUBTYPES else 70)


def test_the_content_decides_not_the_name(music, tmp_path):
    path = save(tmp_path / "clip.wav", music, RATE, "FLAC", "PCM_24")
    assert snr_db(music, read(path)[0]) > 100


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (8_000, 1), (11_025, 1), (96_000, 2)])
def test_resamples_to_the_asked_rate(rate, channels, tmp_path):
    time = np.arange(2 * rate) / rate
    tone = np.repeat(0.5 * np.sin(2 * np.pi * 1000 * time)[None], channels, axis=0).astype(np.float32)
    audio, got_rate = read(save(tmp_path / "tone.wav", tone, rate, subtype="FLOAT"), sample_rate=RATE)
    assert got_rate == RATE and audio.shape == (channels, 2 * RATE)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)
    middle = slice(RATE // 4, -RATE // 4)  # the ends of a tone that starts and stops ring
    assert snr_db(expected[None, middle], audio[:1, middle]) > 80


def test_mono_is_the_average_of_all_channels(tmp_path):
    surround = make_music(1.0, channels=6)
    audio, _ = read(save(tmp_path / "5.1.wav", surround, subtype="FLOAT"), mono=True)
    assert audio.shape == (1, RATE)
    np.testing.assert_allclose(audio[0], surround.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus"])
def test_a_part_is_the_same_as_that_part_of_the_whole(kind, music, tmp_path):
    container, subtype = SUBTYPES.get(kind, (kind.upper(), "PCM_16"))
    path = save(tmp_path / f"clip.{kind}", music, RATE, container, subtype)
    whole, _ = read(path)
    part, _ = read(path, start_s=2.0, seconds=1.0)
    assert part.shape == (2, RATE)
    assert snr_db(whole[:, 2 * RATE : 3 * RATE], part) > 40


def test_asking_for_more_than_there_is_gives_what_there_is(music, tmp_path):
    audio, _ = read(save(tmp_path / "clip.wav", music), start_s=3.5, seconds=100)
    assert audio.shape[1] == RATE // 2


def test_hours_of_audio_are_not_decoded_for_a_few_seconds(tmp_path, monkeypatch):
    path = tmp_path / "hours.flac"
    with soundfile.SoundFile(path, "w", 8_000, 1, subtype="PCM_16") as file:
        for second in range(2 * 60):
            file.write(np.full(8_000 * 60, second / 1000, dtype=np.float32))
    frames_read = []
    plain_read = soundfile.SoundFile.read

    def counting(self, frames=-1, *args, **kwargs):
        block = plain_read(self, frames, *args, **kwargs)
        frames_read.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    audio, _ = read(path, start_s=90 * 60, seconds=10)
    assert sum(frames_read) == audio.shape[1] == 80_000
    assert np.allclose(audio, 0.090, atol=1e-4)


def test_a_cut_off_wav_gives_the_part_that_arrived(music, tmp_path):
    path = save(tmp_path / "clip.wav", music, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: 44 + 4 * RATE])
    audio, _ = read(path)
    assert audio.shape[1] == RATE


def test_the_intact_start_of_a_cut_off_flac_can_be_used(music, tmp_path):
    path = save(tmp_path / "clip.flac", music)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert read(path, seconds=1.0)[0].shape[1] == RATE
    with pytest.raises(InvalidInput, match="damaged"):
        read(path)


def refusal(path, **options):
    with pytest.raises(InvalidInput) as caught:
        read(path, **options)
    return str(caught.value)


def test_refuses_what_is_no_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "missing.wav")
    assert "is a directory" in refusal(tmp_path)
    assert "not a regular file" in refusal("/dev/null")
    assert "audio=" in refusal("a\0b.wav")
    assert "cannot be read" in refusal("x" * 5000)
    assert "style=" in refusal(tmp_path / "missing.wav", field="style")


def test_refuses_an_empty_file_and_a_file_without_samples(tmp_path):
    (tmp_path / "empty.wav").touch()
    assert "is empty" in refusal(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "header.wav", np.zeros((0, 1)), RATE)
    assert "no audio" in refusal(tmp_path / "header.wav")


@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "ogg", "au", "raw", "sd2", "m4a"])
def test_refuses_text_with_any_name(suffix, tmp_path):
    path = tmp_path / f"notes.{suffix}"
    path.write_text("[verse] Hello my friend . this is text\n" * 300)
    assert "ffmpeg -i" in refusal(path)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypM4A ", "MPEG-4"),
        (b"\x1aE\xdf\xa3\0\0\0\0", "WebM"),
        (b"0&\xb2u\x8ef\xcf\x11", "Windows"),
    ],
)
def test_names_the_kinds_it_cannot_decode(head, name, tmp_path):
    (tmp_path / "song.m4a").write_bytes(head + bytes(4000))
    message = refusal(tmp_path / "song.m4a")
    assert name in message and 'ffmpeg -i "song.m4a" "song-converted.wav"' in message


def test_a_resampled_part_is_no_longer_than_asked(tmp_path):
    path = save(tmp_path / "clip.wav", make_music(3.0, 11_025), 11_025)
    assert read(path, sample_rate=RATE, seconds=1.00006)[0].shape == (2, 48_003)


@pytest.mark.parametrize("start", [4.0, 1e6, 1e300])
def test_refuses_a_start_beyond_the_end(start, music, tmp_path):
    assert "4.00 s long" in refusal(save(tmp_path / "clip.wav", music), start_s=start)


@pytest.mark.parametrize(
    "options",
    [
        {"start_s": -1.0},
        {"start_s": float("nan")},
        {"seconds": 0.0},
        {"seconds": float("inf")},
        {"sample_rate": 0},
    ],
)
def test_refuses_options_that_make_no_sense(options, tmp_path):
    assert next(iter(options)) in refusal(tmp_path / "any.wav", **options)


def test_refuses_a_file_without_permission(music, tmp_path, monkeypatch):
    path = save(tmp_path / "clip.wav", music)

    def denied(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", denied)  # mode bits do not stop root
    assert "cannot be read: Permission denied" in refusal(path)


def test_refuses_an_absurd_sample_rate(tmp_path):
    soundfile.write(tmp_path / "slow.wav", np.ones(100), 10)
    assert "sample rate of 10 Hz" in refusal(tmp_path / "slow.wav")
