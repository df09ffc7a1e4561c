"""The guide's command line: ``songbloom generate`` with the guide's options, defaults and ranges."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from songbloom.cli import generate
from songbloom.cli.terminal import run_command
from songbloom.errors import InvalidInput

ABOUT = {"steps": "diffusion steps", "top_k": "candidates for each sketch token", "cfg_coef": "guidance"}
RANGES = {"steps": (10, 100), "top_k": (50, 500), "cfg_coef": (0, 5)}


def build_parser() -> argparse.ArgumentParser:
    parser = generate.build_parser("infer_optimized.py")
    defaults = {"model_name": "songbloom_full_150s", "steps": 50, "top_k": 200, "cfg_coef": 1.5}
    parser.set_defaults(**defaults)
    for action in parser._actions:
        if action.dest in RANGES:
            low, high = RANGES[action.dest]
            action.help = f"{ABOUT[action.dest]}, {low} to {high} (default: {defaults[action.dest]})"
    return parser


def run(options: argparse.Namespace) -> int:
    for name, (low, high) in RANGES.items():
        value = getattr(options, name)
        if not low <= value <= high:
            raise InvalidInput(name, value, f"must be from {low} to {high}")
    if options.input_jsonl is None and options.lyrics is None and options.prompt_wav is None:
        options.input_jsonl = Path(__file__).parent / "example" / "test.jsonl"
    return generate.run(options)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
