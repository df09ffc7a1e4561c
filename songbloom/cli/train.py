"""``songbloom train``: the stages that end in the bundled model's weights, in their order."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

import torch
import torch.distributed as dist
from tqdm import tqdm

from songbloom.cli.terminal import DONE, Parser, write_line
from songbloom.errors import InvalidInput
from songbloom.model.stft_vae import StftVaeConfig
from songbloom.pipeline import choose_device
from songbloom.train import mini
from songbloom.train.autoencoder import AutoencoderTraining, load_autoencoder, train_autoencoder
from songbloom.train.encode import encode_corpus
from songbloom.train.examples import SongStore
from songbloom.train.sketch_tokenizer import probe, train_tokenizer
from songbloom.train.trainer import TrainSettings

STAGES = {
    "autoencoder": "train the autoencoder on the corpus",
    "labels": "teach the language model composed labels alone",
    "encode": "encode the corpus with the autoencoder",
    "tokenizer": "train the sketch tokenizer on the encoded corpus",
    "songs": "train the whole network on the encoded corpus",
    "export": "write the release of a run",
    "curves": "draw the log of a run",
    "all": "every stage, one after the other",
}


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog, "Train the bundled model. Every stage but `tokenizer` goes on where it was stopped.")
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    added = {name: stages.add_parser(name, help=about, description=about) for name, about in STAGES.items()}
    _folders(added["autoencoder"], corpus="songs of `songbloom corpus`", run="folder for weights, state and log")
    _folders(added["labels"], run="folder for weights, state and log")
    _folders(added["encode"], corpus="songs of `songbloom corpus`", autoencoder="its run", store="encoded songs")
    _folders(added["tokenizer"], store="encoded songs", run="folder for its weights")
    added["tokenizer"].add_argument("--steps", type=int, default=1500, help="(default: %(default)s)")
    held_out = "encoded songs kept out of training, to measure it on"
    added["tokenizer"].add_argument("--held-out", type=Path, metavar="DIR", help=held_out)
    _folders(added["songs"], store="encoded songs", run="folder for weights, state and log")
    _folders(added["export"], run="the run of `songs`", autoencoder="its run", output="folder for the release")
    added["export"].add_argument("--tokenizer", type=Path, metavar="DIR", help="its run, to come along")
    _folders(added["curves"], run="the run of any stage")
    picture = "the picture: .svg, .png or .pdf"
    added["curves"].add_argument("--output", type=Path, required=True, metavar="FILE", help=picture)
    _folders(added["all"], output="folder for corpus, runs and release")
    add = added["all"].add_argument
    add("--minutes", type=float, required=True, help="of training altogether")
    add("--hours", type=float, default=10.0, help="of songs to make (default: %(default)s)")
    add("--device", default="cpu", help="(default: %(default)s)")
    add("--workers", type=int, default=1, help="processes that make songs (default: %(default)s)")
    add("--seed", type=int, default=0, help="(default: %(default)s)")
    for name in ("labels", "songs"):
        added[name].add_argument("--weights", type=Path, help="weights to start from")
        _settings(added[name], TrainSettings)
    _settings(added["autoencoder"], AutoencoderTraining)
    add = added["autoencoder"].add_argument
    add("--minutes", type=float, default=40.0, help="training time, earlier runs included (default: %(default)s)")
    add("--device", default="cpu", help="(default: %(default)s)")
    add("--fresh", action="store_true", help="ignore a state left by an earlier run")
    add("--initial-weights", type=Path, metavar="DIR", help="exported weights to start from")
    add("--network", type=_object, default={}, metavar="JSON", help="sizes of the network that differ")
    for stage in added.values():
        stage.add_argument("--threads", type=int, help="of the CPU (default: torch's)")
        stage.set_defaults(log_level=logging.INFO)
    return parser


def _object(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        if isinstance(value := json.loads(text), dict):
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no JSON object, such as '{{\"channels\": 128}}'")


def _folders(parser: argparse.ArgumentParser, **folders: str) -> None:
    for name, about in folders.items():
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR", help=about)


def _settings(parser: argparse.ArgumentParser, kind: type) -> None:
    """An option for every field of the dataclass ``kind``."""
    types = get_type_hints(kind)
    for field in fields(kind):
        required, option = field.default is MISSING, f"--{field.name.replace('_', '-')}"
        about = field.metadata["about"].replace("%", "%%")
        if types[field.name] is bool:
            parser.add_argument(option, action="store_true", help=about)
            continue
        parser.add_argument(
            option,
            type=types[field.name],
            required=required,
            default=None if required else field.default,
            help=about if required else f"{about} (default: {field.default})".strip(),
        )


def _chosen(kind: type, options: argparse.Namespace) -> dict[str, Any]:
    return {field.name: getattr(options, field.name) for field in fields(kind)}


def run(options: argparse.Namespace) -> int:
    if options.threads is not None:
        if options.threads < 1:
            raise InvalidInput("threads", options.threads, "must be 1 or more")
        torch.set_num_threads(options.threads)
    for name in _READ[options.stage]:
        folder = getattr(options, name)
        if folder is not None and not folder.is_dir():
            raise InvalidInput(name, str(folder), "there is no such folder; run the stage that makes it first")
    if "LOCAL_RANK" in os.environ:  # started by torchrun
        if options.stage not in ("labels", "songs"):
            remedy = "is of one process; start `labels` and `songs` alone with torchrun"
            raise InvalidInput("stage", options.stage, remedy)
        if str(choose_device(options.device)) == "cuda":
            options.device = f"cuda:{os.environ['LOCAL_RANK']}"
        if not dist.is_initialized():
            dist.init_process_group("gloo")
    return _RUN[options.stage](options)


def _autoencoder(options: argparse.Namespace) -> int:
    weights = train_autoencoder(
        StftVaeConfig.from_dict(options.network),
        options.corpus,
        options.run,
        minutes=options.minutes,
        resume=not options.fresh,
        training=AutoencoderTraining(**_chosen(AutoencoderTraining, options)),
        device=options.device,
        initial_weights=options.initial_weights,
    )
    write_line(str(weights))
    return DONE


def _labels(options: argparse.Namespace) -> int:
    mini.pretrain_labels(options.run, TrainSettings(**_chosen(TrainSettings, options)), options.weights)
    write_line(str(options.run / "ema.safetensors"))
    return DONE


def _encode(options: argparse.Namespace) -> int:
    with tqdm(unit=" songs") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        count = encode_corpus(options.corpus, load_autoencoder(options.autoencoder), options.store, progress=show)
    write_line(f"{count} songs in {options.store}")
    return DONE


def _tokenizer(options: argparse.Namespace) -> int:
    if options.held_out is not None:
        SongStore(options.held_out, "held_out")  # that there are songs is seen before any work
    tokenizer = train_tokenizer(options.store, options.run, steps=options.steps)
    if options.held_out is not None:
        write_line(json.dumps(probe(tokenizer, options.held_out)))
    write_line(str(options.run / "tokenizer.safetensors"))
    return DONE


def _songs(options: argparse.Namespace) -> int:
    settings = TrainSettings(**_chosen(TrainSettings, options))
    mini.train_songs(options.run, settings, options.store, options.weights)
    write_line(str(options.run / "ema.safetensors"))
    return DONE


def _export(options: argparse.Namespace) -> int:
    mini.export(options.run, options.autoencoder, options.output, options.tokenizer)
    write_line(str(options.output))
    return DONE


def _curves(options: argparse.Namespace) -> int:
    from songbloom.train.curves import draw_curves

    write_line(str(draw_curves(options.run, options.output)))
    return DONE


def _all(options: argparse.Namespace) -> int:
    from songbloom.train.recipe import train_all

    release = train_all(
        options.output,
        minutes=options.minutes,
        hours=options.hours,
        device=options.device,
        workers=options.workers,
        seed=options.seed,
    )
    write_line(str(release))
    return DONE


_READ = {
    "autoencoder": ("corpus", "initial_weights"),
    "labels": (),
    "encode": ("corpus", "autoencoder"),
    "tokenizer": ("store", "held_out"),
    "songs": ("store",),
    "export": ("run", "autoencoder", "tokenizer"),
    "curves": ("run",),
    "all": (),
}
_RUN = {
    "autoencoder": _autoencoder,
    "labels": _labels,
    "encode": _encode,
    "tokenizer": _tokenizer,
    "songs": _songs,
    "export": _export,
    "curves": _curves,
    "all": _all,
}
