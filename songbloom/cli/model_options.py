"""What a model is computed with: the options that every command which loads one has."""

from __future__ import annotations

import argparse
from typing import Any

from songbloom.request import OPTIMIZATION_LEVELS, QUANTIZATIONS

NAMES = ("dtype", "quantization", "optimization_level", "eight_bit_cache", "offload", "device")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dtype", default="auto", help="auto, float32, bfloat16 or float16 (default: %(default)s)")
    add("--quantization", choices=QUANTIZATIONS, type=str.lower, default="none",
        help="of the weights (default: %(default)s)")  # fmt: skip
    add("--optimization-level", choices=OPTIMIZATION_LEVELS, default="standard",
        help="aggressive compiles, which pays on long runs (default: %(default)s)")  # fmt: skip
    add("--eight-bit-cache", action="store_true", help="keep what the model remembers of a song in 8 bits")
    add("--offload", action="store_true", help="on a small GPU: parts of the model take turns on it")
    add("--device", default="auto", help="auto, cuda, cuda:N, mps or cpu (default: %(default)s)")


def model_options(options: argparse.Namespace) -> dict[str, Any]:
    """What was chosen, as :func:`songbloom.load` takes it."""
    return {name: getattr(options, name) for name in NAMES}
