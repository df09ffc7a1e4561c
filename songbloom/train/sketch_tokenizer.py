"""The sketch tokenizer: VAE latents of any song -> sketch tokens, for songs whose labels nobody has.

A small convolutional network that tells for each frame the phone, its pitch, the chord and the beat, trained on the
corpus' exact labels. Its tokens are the codebook's (``sketch_codes.py``), so what a token says can be read off it;
run on the latents of a generated song it is also a recogniser of what was sung.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from songbloom.checkpoints.tensor_files import write_safetensors
from songbloom.corpus.phones import PHONES
from songbloom.errors import InvalidInput
from songbloom.files import write_json
from songbloom.model.sketch_codes import BEATS, CHORDS, LOWEST, PITCHES, REST, VOICED, phones_of, pitches_of
from songbloom.train.examples import SongStore

log = logging.getLogger(__name__)
NO_PHONE = len(PHONES)


@dataclass(frozen=True)
class TokenizerConfig:
    latent_dim: int = 128
    dim: int = 192
    blocks: int = 4
    kernel: int = 7


class ConvBlock(nn.Module):
    """ConvNeXt block over time: depthwise convolution, norm, two-layer MLP, residual."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up, self.down = nn.Linear(dim, 3 * dim), nn.Linear(3 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return x + self.down(F.gelu(self.up(self.norm(y))))


class SketchTokenizer(nn.Module):
    """Latents [B, L, n] -> scores of phone (40, the last: none), pitch (30), chord (24) and beat (4) per frame."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.proj = nn.Linear(config.latent_dim, config.dim)
        self.blocks = nn.Sequential(*(ConvBlock(config.dim, config.kernel) for _ in range(config.blocks)))
        self.norm = nn.LayerNorm(config.dim)
        self.sizes = (len(PHONES) + 1, PITCHES, CHORDS, BEATS)
        self.head = nn.Linear(config.dim, sum(self.sizes))

    def forward(self, latents: Tensor) -> tuple[Tensor, ...]:
        """Scores, each [B, n, classes]."""
        hidden = self.norm(self.blocks(self.proj(latents.transpose(1, 2))))
        return self.head(hidden).split(self.sizes, dim=-1)

    @torch.no_grad()
    def encode(self, latents: Tensor) -> Tensor:
        """Sketch tokens [B, n] int64 of latents [B, L, n]."""
        phone, pitch, chord, beat = (scores.argmax(-1) for scores in self(latents))
        return torch.where(phone == NO_PHONE, VOICED + chord * BEATS + beat, phone * PITCHES + pitch)


def targets_of(tokens: np.ndarray) -> tuple[Tensor, ...]:
    """Class of phone, pitch, chord and beat of each token [n]; -1 where the token does not tell."""
    phone = phones_of(tokens)
    played = np.where((phone < 0) & (tokens < REST), tokens - VOICED, -1)
    columns = (
        np.where(phone < 0, NO_PHONE, phone),
        np.where(phone < 0, -1, pitches_of(tokens) - LOWEST),
        np.where(played < 0, -1, played // BEATS),
        np.where(played < 0, -1, played % BEATS),
    )
    return tuple(torch.from_numpy(column.astype(np.int64)) for column in columns)


def _segments(
    store: SongStore, seed: int, *, frames: int, batch: int, noise: float
) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
    """Random cuts [batch, L, frames] and their targets [batch, frames]; the latents get some noise."""
    rng = np.random.default_rng(seed)
    examples = store.examples(seed, block_size=1, clip_frames=(1, 1))
    while True:
        latents: list[Tensor] = []
        targets: list[tuple[Tensor, ...]] = []
        while len(latents) < batch:
            example = next(examples)
            assert example.latents is not None
            if len(example.tokens) < frames:
                continue
            begin = int(rng.integers(0, len(example.tokens) - frames + 1))
            latents.append(example.latents[:, begin : begin + frames])
            targets.append(targets_of(example.tokens[begin : begin + frames]))
        stacked = torch.stack(latents)
        yield stacked + noise * torch.randn_like(stacked), tuple(torch.stack(t) for t in zip(*targets, strict=True))


def losses_of(scores: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> list[Tensor]:
    """Cross entropy of phone, pitch, chord and beat over the frames that have them."""
    return [
        F.cross_entropy(s.flatten(0, 1), t.flatten(), ignore_index=-1) for s, t in zip(scores, targets, strict=True)
    ]


def train_tokenizer(
    store: Path, run: Path, *, steps: int = 1500, batch: int = 8, frames: int = 128, rate: float = 2e-3, seed: int = 0
) -> SketchTokenizer:
    """Train on an encoded corpus; writes ``tokenizer.safetensors`` and ``tokenizer.json`` into ``run``.

    Raises:
        InvalidInput: no steps, or no song of the store is as long as ``frames``.
    """
    if steps < 1:
        raise InvalidInput("steps", steps, "must be 1 or more")
    torch.manual_seed(seed)
    songs = SongStore(store)
    if all(np.load(file)["tokens"].size < frames for files in songs.pairs.values() for file in files):
        raise InvalidInput("store", str(store), f"has no song of {frames} frames or more; encode longer ones")
    tokenizer = SketchTokenizer(TokenizerConfig())
    optimizer = torch.optim.AdamW(tokenizer.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    for step, (latents, targets) in zip(
        range(steps), _segments(songs, seed, frames=frames, batch=batch, noise=0.1), strict=False
    ):
        losses = losses_of(tokenizer(latents), targets)
        torch.stack(losses).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        if step % 100 == 0:
            log.info("step %d: phone %.3f pitch %.3f chord %.3f beat %.3f", step, *(float(x.detach()) for x in losses))
    save_tokenizer(tokenizer, run)
    return tokenizer.eval()


def save_tokenizer(tokenizer: SketchTokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "tokenizer.safetensors", {n: t.half() for n, t in tokenizer.state_dict().items()})
    write_json(folder / "tokenizer.json", asdict(tokenizer.config))


def load_tokenizer(folder: Path) -> SketchTokenizer:
    """The tokenizer :func:`save_tokenizer` wrote, in float32.

    Raises:
        InvalidInput: the folder holds none.
    """
    try:
        config = TokenizerConfig(**json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))
        tokenizer = SketchTokenizer(config)
        tokenizer.load_state_dict({n: t.float() for n, t in load_file(folder / "tokenizer.safetensors").items()})
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise InvalidInput("tokenizer", str(folder), "holds no run of `songbloom train tokenizer`") from error
    return tokenizer.eval()


@torch.no_grad()
def probe(tokenizer: SketchTokenizer, store: Path) -> dict[str, float]:
    """Share of frames told right, over songs not trained on: phone, pitch, chord, beat, and the whole token; without
    what no frame of theirs has."""
    right, known = np.zeros(5), np.zeros(5)
    for path in (file for files in SongStore(store).pairs.values() for file in files):
        data = np.load(path)
        tokens = data["tokens"].astype(np.int64)
        scores = tokenizer(torch.from_numpy(data["latents"].astype(np.float32))[None])
        for i, (score, target) in enumerate(zip(scores, targets_of(tokens), strict=True)):
            told = target >= 0
            right[i] += int((score[0].argmax(-1) == target)[told].sum())
            known[i] += int(told.sum())
        codes = tokenizer.encode(torch.from_numpy(data["latents"].astype(np.float32))[None])[0].numpy()
        kept = tokens < REST
        right[4] += int((codes == tokens)[kept].sum())
        known[4] += int(kept.sum())
    names = ("phone", "pitch", "chord", "beat", "token")
    return {name: round(float(right[i] / known[i]), 4) for i, name in enumerate(names) if known[i]}
