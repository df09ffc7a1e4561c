"""``songbloom quantize``: a model with weights of 8 or 4 bits, in our own form; it loads without the full one."""

from __future__ import annotations

import argparse

from songbloom.cli import convert
from songbloom.request import QUANTIZATIONS


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = convert.build_parser(prog)
    parser.description = "Write a model with weights of 8 or 4 bits; it loads without the full one."
    parser.add_argument("--quantization", required=True, choices=QUANTIZATIONS[1:], help="of the transformers' layers")
    return parser


run = convert.run
