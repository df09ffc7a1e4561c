"""Runs the command in this process and tells what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from songbloom.cli import main
from tests.conftest import LYRICS


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("songbloom: error: ")]


@pytest.fixture
def run(capsys):
    def call(*arguments, command=main) -> Outcome:
        try:
            code = command([str(a) for a in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        written = capsys.readouterr()
        assert "Traceback" not in written.err
        return Outcome(code, *written)

    return call


@pytest.fixture
def quick(tiny_folder, tmp_path) -> list:
    """Options that make a song of about a second with the tiny model in ``tmp_path / "out"``."""
    return [
        "--model-name", tiny_folder, "--output-dir", tmp_path / "out", "--steps", 10, "--max-duration", 1.5,
        "--seed", 1, "--device", "cpu",
    ]  # fmt: skip


@pytest.fixture
def lines(tmp_path, clip):
    """Writes a JSONL file of rows (completed with lyrics and clip) and raw lines; returns its path."""

    def write(*rows) -> Path:
        path = tmp_path / "songs.jsonl"
        usual = {"lyrics": LYRICS, "prompt_wav": str(clip)}
        text = [row if isinstance(row, str) else json.dumps(usual | row) for row in rows]
        path.write_text("\n".join(text) + "\n", encoding="utf-8")
        return path

    return write
