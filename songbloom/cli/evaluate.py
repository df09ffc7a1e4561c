"""``songbloom evaluate``: measure a model on held-out lyrics and clips; a table, then one JSON line."""

from __future__ import annotations

import argparse
import json
import sys

from tqdm import tqdm

from songbloom.checkpoints.registry import DEFAULT_LOCAL_DIR
from songbloom.cli.terminal import DONE, Parser, write_line


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog, "Measure a model on lyrics and style clips that no training song has.")
    parser.add_argument("--model-name", default="songbloom_mini", help="release or folder (default: %(default)s)")
    parser.add_argument("--local-dir", default=DEFAULT_LOCAL_DIR, help="where models lie (default: %(default)s)")
    parser.add_argument("--songs", type=int, default=20, help="how many songs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first song (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="diffusion steps (default: the model's)")
    parser.add_argument("--cfg-coef", type=float, help="guidance (default: the model's)")
    parser.add_argument("--temperature", type=float, help="of the sketch (default: the model's)")
    return parser


def run(options: argparse.Namespace) -> int:
    from songbloom.errors import InvalidInput
    from songbloom.evaluate.run import evaluate
    from songbloom.pipeline import load
    from songbloom.request import SongSettings

    if options.songs < 1:
        raise InvalidInput("songs", options.songs, "must be 1 or more")
    settings = SongSettings(
        seed=options.seed, steps=options.steps, cfg_coef=options.cfg_coef, temperature=options.temperature
    )
    model = load(options.model_name, local_dir=options.local_dir)
    with tqdm(total=options.songs, unit="song", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.n)

        result = evaluate(model, options.songs, settings=settings, progress=show)
    for name, value in result["summary"].items():
        write_line(f"{name:<28}{value}")
    write_line(json.dumps(result))
    return DONE
