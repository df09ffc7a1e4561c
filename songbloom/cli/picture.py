"""``songbloom picture``: waveform and spectrogram of a song."""

from __future__ import annotations

import argparse
from pathlib import Path

from songbloom.cli.terminal import DONE, Parser, write_line


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog, "Draw waveform and spectrogram of a song.")
    parser.add_argument("song", type=Path, metavar="FILE", help="any audio file")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the picture: .png, .svg or .pdf")
    return parser


def run(options: argparse.Namespace) -> int:
    from songbloom.pictures import draw_song

    write_line(str(draw_song(options.song, options.output)))
    return DONE
