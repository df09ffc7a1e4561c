"""``songbloom convert``: a model, in the published form or ours, written in ours (safetensors, no pickles)."""

from __future__ import annotations

import argparse
from pathlib import Path

from songbloom.checkpoints.registry import DEFAULT_LOCAL_DIR, NATIVE_FILES
from songbloom.cli.generate import make_folder
from songbloom.cli.terminal import DONE, Parser, write_line


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog,
        "Write a model in our own form: config.json, model.safetensors, vae.safetensors.",
        "An output folder called as the model is found by that name with --local-dir.",
    )
    parser.add_argument("model", metavar="NAME|FOLDER", help="a name of `songbloom models`, or a model's folder")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the three files")
    parser.add_argument("--dtype", default="float32", help="of the network: float32, bfloat16 or float16")
    parser.add_argument("--local-dir", default=DEFAULT_LOCAL_DIR, help="where models lie (default: %(default)s)")
    parser.set_defaults(quantization="none")
    return parser


def run(options: argparse.Namespace) -> int:
    import songbloom
    from songbloom.checkpoints.load import LoadedModel, save_native
    from songbloom.pipeline import read_model_config

    read_model_config(options.model, local_dir=options.local_dir)  # is it there?
    make_folder(options.output)
    model = songbloom.load(
        options.model,
        local_dir=options.local_dir,
        dtype=options.dtype,
        device="cpu",
        quantization=options.quantization,
    )
    save_native(options.output, LoadedModel(model.config, model.net, model.vae))
    for name in NATIVE_FILES:
        write_line(str(options.output / name))
    return DONE
