"""Metadata inside the file: ours comes back exactly, and other programs find the usual fields."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import soundfile

from songbloom.audio import WRITABLE, read, read_tags, write
from songbloom.errors import InvalidInput

from .signals import RATE

TAGS = {
    "title": "Morning — 早晨 é 🎵",
    "artist": "songbloom_mini",
    "software": "songbloom 0.1.0",
    "date": "2025-03-01",
    "lyrics": "[verse] 你好 . Hello\nmy friend\r\n[chorus] \t la \0 la",
    "seed": "1234567890123456789",
    "settings": json.dumps({"steps": 36, "cfg_coef": 1.5, "quote": '"'}),
    "comment": "a comment of its own",
    "empty": "",
}


@pytest.mark.parametrize("kind", WRITABLE)
@pytest.mark.parametrize("lyric_length", [10, 3_000, 9_000])
def test_all_tags_come_back_exactly(kind, lyric_length, music, tmp_path):
    tags = TAGS | {"lyrics": TAGS["lyrics"] + "歌" * (lyric_length // 2) + "x" * (lyric_length // 2)}
    path = tmp_path / f"song.{kind}"
    report = write(path, music[:, :4800], RATE, tags=tags)
    assert read_tags(path) == tags
    assert report.dropped_tags == ()
    assert read(path)[0].shape == (2, 4800)


@pytest.mark.parametrize("kind", WRITABLE)
def test_players_find_the_usual_fields(kind, music, tmp_path):
    write(tmp_path / f"song.{kind}", music[:, :4800], RATE, tags=TAGS)
    with soundfile.SoundFile(tmp_path / f"song.{kind}") as file:  # libsndfile's readers, not ours
        fields = file.copy_metadata()
    assert fields["title"] == TAGS["title"]
    assert fields["artist"] == TAGS["artist"]
    assert fields["software"].startswith(TAGS["software"])
    assert fields["date"].startswith("2025")
    assert json.loads(fields["comment"]) == TAGS


def test_lyrics_have_the_field_players_show_in_flac_and_mp3(music, tmp_path):
    lyrics = TAGS["lyrics"].replace("\0", "")
    for kind, name, encoding in (("flac", b"LYRICS=", "utf-8"), ("mp3", b"USLT", "utf-16-le")):
        write(tmp_path / f"song.{kind}", music[:, :4800], RATE, tags=TAGS)
        data = (tmp_path / f"song.{kind}").read_bytes()
        assert lyrics.encode(encoding) in data[data.index(name) :]


def test_a_flac_with_tags_decodes_like_one_without(music, tmp_path):
    write(tmp_path / "plain.flac", music, RATE)
    write(tmp_path / "tagged.flac", music, RATE, tags=TAGS)
    np.testing.assert_array_equal(read(tmp_path / "plain.flac")[0], read(tmp_path / "tagged.flac")[0])


def test_wav_chunks_add_up_even_after_data_of_odd_length(music, tmp_path):
    write(tmp_path / "odd.wav", music[:1, :4801], RATE, tags=TAGS)  # 24 bit, one channel
    data = (tmp_path / "odd.wav").read_bytes()
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    at, names = 12, []
    while at < len(data):
        names.append(data[at : at + 4])
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        at += 8 + size + size % 2
    assert at == len(data) and names[-2:] == [b"data", b"LIST"]


def test_a_file_without_tags_has_none_of_ours(music, tmp_path):
    for kind in WRITABLE:
        write(tmp_path / f"song.{kind}", music[:, :4800], RATE)
        assert "title" not in read_tags(tmp_path / f"song.{kind}")


def test_reads_the_fields_of_files_from_elsewhere(music, tmp_path):
    for kind, comment in (("wav", "recorded at home"), ("flac", '{"a": 1}'), ("ogg", "[1, 2]")):
        with soundfile.SoundFile(tmp_path / f"x.{kind}", "w", RATE, 2) as file:
            file.title, file.comment = "A song", comment
            file.write(music[:, :4800].T)
        tags = read_tags(tmp_path / f"x.{kind}")
        assert (tags["title"], tags["comment"]) == ("A song", comment)


def test_reads_a_big_endian_wav(music, tmp_path):
    with soundfile.SoundFile(tmp_path / "x.wav", "w", RATE, 2, "PCM_16", endian="BIG") as file:
        file.title = "A song"
        file.write(music[:, :4800].T)
    assert read_tags(tmp_path / "x.wav")["title"] == "A song"


def test_tags_too_long_for_opus_are_left_out_and_reported(music, tmp_path, caplog):
    tags = {"title": "T", "lyrics": "la " * 20_000, "seed": "7"}
    report = write(tmp_path / "song.opus", music[:, :4800], RATE, tags=tags)
    assert report.dropped_tags == ("lyrics",) and "lyrics" in caplog.text
    assert read_tags(tmp_path / "song.opus") == {"title": "T", "seed": "7"}


def test_lyrics_of_100_kb_fit_everywhere_else(music, tmp_path):
    tags = {"lyrics": "la " * 33_000}
    for kind in set(WRITABLE) - {"opus"}:
        assert not write(tmp_path / f"song.{kind}", music[:, :4800], RATE, tags=tags).dropped_tags
        assert read_tags(tmp_path / f"song.{kind}") == tags


def test_text_without_a_utf8_form_is_replaced(music, tmp_path):
    write(tmp_path / "song.flac", music[:, :4800], RATE, tags={"title": "bad \udcff name"})
    assert read_tags(tmp_path / "song.flac") == {"title": "bad ? name"}


@pytest.mark.parametrize("cut", [1, 5, 9, 40])
def test_a_cut_off_tag_does_not_stop_the_reading(cut, music, tmp_path):
    path = tmp_path / "song.wav"
    write(path, music[:, :4800], RATE, tags={"title": "A song", "lyrics": "la " * 100})
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_tags(path)["title"] == "A song"


def test_refuses_what_is_not_audio(tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        read_tags(tmp_path / "missing.flac")
