from __future__ import annotations

import struct
import sys

import pytest


def test_a_picture_of_a_song(run, clip, tmp_path):
    pytest.importorskip("matplotlib")
    target = tmp_path / "song.png"
    assert run("picture", clip, "--output", target).code == 0
    data = target.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert data.startswith(b"\x89PNG") and width > height > 300
    assert [path.name for path in tmp_path.iterdir()] == ["song.png"]


def test_refused(run, clip, tmp_path, monkeypatch):
    text = tmp_path / "words.txt"
    text.write_text("no audio")
    assert run("picture", text, "--output", tmp_path / "a.png").code == 2
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = run("picture", clip, "--output", tmp_path / "a.png")
    assert (outcome.code, "songbloom[train]" in outcome.errors[0]) == (1, True)
