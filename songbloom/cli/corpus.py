"""``songbloom corpus``: songs to train on, composed and sung by our own code."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from songbloom.cli.terminal import DONE, Parser, write_line


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog, "Compose and sing songs to train on. The same command goes on where it was stopped.")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the corpus")
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--hours", type=float, help="hours of audio the folder shall hold")
    amount.add_argument("--songs", type=int, help="number of songs the folder shall hold")
    parser.add_argument("--seed", type=int, default=0, help="corpora of different seeds share no song (default: 0)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--held-out", action="store_true", help="from the words kept out of training")
    parser.set_defaults(log_level=logging.INFO)
    return parser


def run(options: argparse.Namespace) -> int:
    from songbloom.corpus.generate import write_corpus
    from songbloom.corpus.settings import CorpusSettings

    count = write_corpus(
        options.output,
        hours=options.hours,
        n_songs=options.songs,
        seed=options.seed,
        settings=CorpusSettings(held_out=options.held_out),
        workers=options.workers,
    )
    write_line(f"{count} songs in {options.output}")
    return DONE
