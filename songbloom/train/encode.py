"""A corpus of songs -> latents and labels, the form the network is trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from songbloom.audio import read
from songbloom.audio.key import clip_chroma
from songbloom.corpus.facts import facts_of
from songbloom.corpus.generate import MANIFEST, corpus_name, read_manifest
from songbloom.corpus.score import Score
from songbloom.errors import InvalidInput
from songbloom.files import written_aside
from songbloom.model.vae import Vae
from songbloom.train.examples import add_to_index, example_from_score, read_index, write_index

CLIP_S = 10
ENCODER = "encoder.npy"  # what a second of noise is to the store's autoencoder


@torch.no_grad()
def encode_song(
    vae: Vae, audio_file: Path, score: Score, block_size: int, device: str = "cpu"
) -> dict[str, np.ndarray]:
    """One song's ``latents`` [L, n] float16 (posterior means), ``tokens`` [n], ``lyric_index`` [n] and ``lyrics``.

    Also a clip of it as a model is given one, in mono: its latents ``clip`` [L, m] float16, its ``chroma``
    (:func:`songbloom.audio.key.clip_chroma`), and its true ``facts`` [4].
    """
    frame_rate = vae.sample_rate / vae.downsampling_ratio
    example = example_from_score(score, frame_rate, block_size)
    samples = len(example.tokens) * vae.downsampling_ratio
    audio = torch.from_numpy(read(audio_file, sample_rate=vae.sample_rate)[0])[:, :samples]
    latents = vae.encode(F.pad(audio, (0, samples - audio.shape[1]))[None].to(device))[0][0].cpu()
    length = CLIP_S * vae.sample_rate
    begin = np.random.default_rng(abs(score.seed)).integers(0, max(1, audio.shape[1] - length))
    clip = audio[:, begin : begin + length].mean(0, keepdim=True)
    clip_latents = vae.encode(clip.expand(vae.audio_channels, -1)[None].to(device))[0][0].cpu()
    return {
        "latents": latents.half().numpy(),
        "clip": clip_latents.half().numpy(),
        "chroma": clip_chroma(clip.numpy(), vae.sample_rate),
        "facts": np.array(facts_of(score.card)),
        "tokens": example.tokens.astype(np.int32),
        "lyric_index": example.lyric_index.astype(np.int32),
        "lyrics": np.array(example.lyrics),
    }


def encode_corpus(
    corpus: Path,
    vae: Vae,
    store: Path,
    *,
    block_size: int = 16,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Encode the songs of ``corpus`` that ``store`` does not have yet; returns how many it now holds.

    ``store`` gets one ``.npz`` a song, and ``index.jsonl`` with each song's file and pair.

    Raises:
        InvalidInput: the corpus has no songs, or the store was encoded with another autoencoder or in an earlier form.
    """
    if not (corpus / MANIFEST).is_file():
        raise InvalidInput("corpus", str(corpus), f"has no {MANIFEST}; make songs with `songbloom corpus`")
    rows, name = list(read_manifest(corpus)), corpus_name(corpus)
    store.mkdir(parents=True, exist_ok=True)
    index = read_index(store)
    _claim(store, vae, device, empty=not index)
    write_index(store, index)  # without a line that was cut
    for done, row in enumerate(rows, start=1):
        target = store / f"{name}-{row['number']:06d}.npz"
        if not target.exists():
            score = Score.from_json((corpus / row["score"]).read_text(encoding="utf-8"))
            arrays = encode_song(vae, corpus / row["audio"], score, block_size, device)
            with written_aside(target) as aside, aside.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        if target.name not in index:
            index[target.name] = f"{name}-{row['pair']}"
            add_to_index(store, target.name, index[target.name])
        if progress is not None:
            progress(done, len(rows))
    return len(index)


@torch.no_grad()
def _claim(store: Path, vae: Vae, device: str, *, empty: bool) -> None:
    """Note how the store's autoencoder encodes, or see that this one encodes alike."""
    noise = torch.randn(1, vae.audio_channels, vae.sample_rate, generator=torch.Generator().manual_seed(0))
    latents = vae.encode(0.1 * noise.to(device))[0][0].cpu().numpy()
    path = store / ENCODER
    if not path.is_file():
        if not empty:
            raise InvalidInput("store", str(store), f"is of an earlier form, without {ENCODER}; choose another folder")
        with written_aside(path) as aside, aside.open("wb") as file:
            np.save(file, latents)
        return
    before = np.load(path)
    if before.shape != latents.shape or np.abs(before - latents).max() > 0.01 * np.abs(before).max():
        raise InvalidInput("store", str(store), "was encoded with another autoencoder; choose another folder")
