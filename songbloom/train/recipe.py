"""The whole recipe of songbloom_mini in one command, for a machine that is lent for an hour."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import torch

from songbloom.corpus.generate import write_corpus
from songbloom.errors import InvalidInput
from songbloom.model.stft_vae import StftVaeConfig
from songbloom.pipeline import choose_device
from songbloom.train import mini
from songbloom.train.autoencoder import load_autoencoder, train_autoencoder
from songbloom.train.encode import encode_corpus
from songbloom.train.sketch_tokenizer import train_tokenizer
from songbloom.train.trainer import TrainSettings

log = logging.getLogger(__name__)

SHARES = {"autoencoder": 0.3, "labels": 0.15, "songs": 0.55}
MOST_BYTES = 15 * 2**20  # of one file of the release, so that it can be carried in pieces


def train_all(
    folder: Path, *, minutes: float, hours: float, device: str = "cpu", workers: int = 1, seed: int = 0
) -> Path:
    """Corpus, autoencoder, labels, songs, release; every stage but the tokenizer goes on where it was stopped.

    Args:
        folder: receives ``corpus``, the runs, and ``release`` with the model in files of at most 15 MiB.
        minutes: of training altogether; making and encoding the corpus comes on top.
        hours: of songs to make.
        device: to train on, as for :func:`songbloom.load`; songs are always made on the CPU.
        workers: processes that make songs.

    Returns:
        The folder of the release.

    Raises:
        InvalidInput: minutes or hours are no amount, or there is no such device.
    """
    if not 0 < minutes < math.inf:  # told before the corpus is made
        raise InvalidInput("minutes", minutes, "must be above 0.")
    device = str(choose_device(device))
    corpus, autoencoder, labels = folder / "corpus", folder / "autoencoder", folder / "labels"
    store, tokenizer, songs, release = folder / "store", folder / "tokenizer", folder / "songs", folder / "release"
    dtype = "bfloat16" if torch.device(device).type == "cuda" else "float32"
    positions = 24_000 if torch.device(device).type == "cuda" else 2_400

    def settings(stage: str) -> TrainSettings:
        return TrainSettings(
            minutes=minutes * SHARES[stage], batch_positions=positions, device=device, dtype=dtype, seed=seed
        )

    log.info("corpus")
    write_corpus(corpus, hours=hours, seed=seed, workers=workers)
    log.info("autoencoder")
    config = StftVaeConfig.from_dict({})
    train_autoencoder(config, corpus, autoencoder, minutes=minutes * SHARES["autoencoder"], device=device)
    log.info("labels")
    mini.pretrain_labels(labels, settings("labels"))
    log.info("encode")
    encode_corpus(corpus, load_autoencoder(autoencoder).to(device), store, device=device)
    log.info("tokenizer")
    train_tokenizer(store, tokenizer)
    log.info("songs")
    mini.train_songs(songs, settings("songs"), store, labels / "ema.safetensors")
    mini.export(songs, autoencoder, release, tokenizer, MOST_BYTES)
    return release
