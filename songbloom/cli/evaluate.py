"""``songbloom evaluate``: measure a model on held-out lyrics and clips; a table, then one JSON line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from songbloom.checkpoints.registry import DEFAULT_LOCAL_DIR
from songbloom.cli.model_options import add_model_options, model_options
from songbloom.cli.terminal import DONE, Parser, write_line


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog, "Measure a model on lyrics and style clips that no training song has.")
    parser.add_argument("--model-name", default="songbloom_mini", help="release or folder (default: %(default)s)")
    parser.add_argument("--local-dir", default=DEFAULT_LOCAL_DIR, help="where models lie (default: %(default)s)")
    parser.add_argument("--songs", type=int, default=24, help="how many songs (default: %(default)s)")
    parser.add_argument("--stages", action="store_true", help="tell where words get lost")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers and those of every song here")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first song (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="diffusion steps (default: the model's)")
    parser.add_argument("--cfg-coef", type=float, help="guidance (default: the model's)")
    parser.add_argument("--temperature", type=float, help="of the sketch (default: the model's)")
    add_model_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    from songbloom.errors import InvalidInput
    from songbloom.evaluate.cost import model_size_mb
    from songbloom.evaluate.run import evaluate
    from songbloom.evaluate.table import table
    from songbloom.files import check_target, write_json
    from songbloom.pipeline import load
    from songbloom.request import SongSettings

    if options.songs < 1:
        raise InvalidInput("songs", options.songs, "must be 1 or more")
    if options.json is not None:
        check_target(options.json)
    settings = SongSettings(
        seed=options.seed, steps=options.steps, cfg_coef=options.cfg_coef, temperature=options.temperature
    )
    model = load(options.model_name, local_dir=options.local_dir, **model_options(options))
    size_mb = model_size_mb(options.model_name, options.local_dir)
    # Two steps a song: to make it, and to measure it.
    with tqdm(total=2 * options.songs, unit="step", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.n)

        result = evaluate(
            model, options.songs, settings=settings, stages=options.stages, size_mb=size_mb, progress=show
        )
    if options.json is not None:
        write_json(options.json, result)
    for line in table(result):
        write_line(line)
    shortened = {name: value for name, value in result.items() if name != "songs"}
    write_line(json.dumps(shortened | {"songs": len(result["songs"])}))
    return DONE
