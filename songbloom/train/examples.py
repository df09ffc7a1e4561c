"""Training examples: songs composed on the fly as labels alone, or songs of a corpus with their latents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from songbloom.corpus.compose import compose
from songbloom.corpus.facts import facts_of
from songbloom.corpus.labels import label_frames
from songbloom.corpus.score import Score
from songbloom.corpus.settings import CorpusSettings
from songbloom.errors import InvalidInput
from songbloom.files import read_json_lines, write_bytes
from songbloom.model.sketch_codes import REST, codes_from_labels


@dataclass(frozen=True)
class Example:
    """One song, or part of one, in whole blocks.

    ``tokens`` [n] int64; ``lyric_index`` [n]: the lyric item each frame belongs to; ``facts`` of the band
    (:mod:`songbloom.corpus.facts`); ``latents`` [L, n] and the clip's ``style`` [L, F] are None where only labels
    exist.
    """

    lyrics: str
    tokens: NDArray[np.int64]
    lyric_index: NDArray[np.int64]
    facts: tuple[int, ...]
    latents: Tensor | None = None
    style: Tensor | None = None

    @property
    def cost(self) -> int:
        """Positions this example takes in the language model, roughly."""
        return len(self.tokens) + self.lyrics.count(" ") + 1


def example_from_score(score: Score, frame_rate: float, block_size: int) -> Example:
    """Labels of a composed song, padded with rests to whole blocks."""
    labels = label_frames(score, frame_rate)
    codes, index = codes_from_labels(labels), labels["lyric_index"].astype(np.int64)
    missing = -len(codes) % block_size
    return Example(
        score.lyrics,
        np.pad(codes, (0, missing), constant_values=REST),
        np.pad(index, (0, missing), mode="edge"),
        facts_of(score.card),
    )


STAGES: tuple[CorpusSettings, ...] = (
    CorpusSettings(single_line=True, duration_s=(4.0, 8.0)),
    CorpusSettings(duration_s=(8.0, 14.0)),
    CorpusSettings(duration_s=(14.0, 26.0)),
    CorpusSettings(duration_s=(24.0, 58.0)),
)


def compose_examples(seed: int, stage: int, *, frame_rate: float, block_size: int) -> Iterator[Example]:
    """Endless composed songs of a curriculum stage; later stages keep some shorter songs."""
    rng = np.random.default_rng(seed)
    while True:
        chosen = stage if stage == 0 or rng.random() < 0.75 else int(rng.integers(0, stage))
        yield example_from_score(compose(int(rng.integers(1 << 40)), STAGES[chosen]), frame_rate, block_size)


def batches(examples: Iterator[Example], *, budget: int, pool: int = 64) -> Iterator[list[Example]]:
    """Batches of similar length of at most ``budget`` positions with padding, from a pool of examples."""
    rng = np.random.default_rng(0)
    while True:
        waiting = sorted((next(examples) for _ in range(pool)), key=lambda e: e.cost)
        groups: list[list[Example]] = [[]]
        for example in waiting:
            if groups[-1] and (len(groups[-1]) + 1) * example.cost > budget:
                groups.append([])
            groups[-1].append(example)
        for i in rng.permutation(len(groups)):
            yield groups[i]


INDEX = "index.jsonl"


def read_index(store: Path) -> dict[str, str]:
    """The pair of each file of a store; nothing where there is no index, and not what a crash has cut."""
    return {row["file"]: row["pair"] for row in read_json_lines(store / INDEX)}


def write_index(store: Path, index: Mapping[str, str]) -> None:
    write_bytes(store / INDEX, "".join(_line(file, pair) for file, pair in index.items()).encode())


def add_to_index(store: Path, file: str, pair: str) -> None:
    with (store / INDEX).open("a", encoding="utf-8") as index:
        index.write(_line(file, pair))


def _line(file: str, pair: str) -> str:
    return json.dumps({"file": file, "pair": pair}) + "\n"


class SongStore:
    """Encoded songs of a corpus: one ``.npz`` of latents (mean, float16) and labels a song, pairs share a card.

    Args:
        field: what the folder is called where there are none.

    Raises:
        InvalidInput: there are none.
    """

    def __init__(self, folder: Path, field: str = "store") -> None:
        self.folder = folder
        self.pairs: dict[str, list[Path]] = {}
        for file, pair in read_index(folder).items():
            self.pairs.setdefault(pair, []).append(folder / file)
        if not self.pairs:
            raise InvalidInput(field, str(folder), "holds no encoded songs; make some with `songbloom train encode`")

    def __len__(self) -> int:
        return sum(len(files) for files in self.pairs.values())

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents over (at most 100 of) the songs, each [L]."""
        files = [file for files in self.pairs.values() for file in files][:100]
        frames = np.concatenate([np.load(file)["latents"] for file in files], axis=1).astype(np.float32)
        return torch.from_numpy(frames.mean(1)), torch.from_numpy(frames.std(1))

    def examples(self, seed: int, *, block_size: int, clip_frames: tuple[int, int]) -> Iterator[Example]:
        """Endless songs in random order, each with a clip of its twin (or of itself) as style."""
        rng = np.random.default_rng(seed)
        pairs = list(self.pairs.values())
        while True:
            files = pairs[int(rng.integers(len(pairs)))]
            song = int(rng.integers(len(files)))
            data = np.load(files[song])
            clip = np.load(files[(song + 1) % len(files)])["clip"]
            length = int(rng.integers(clip_frames[0], clip_frames[1] + 1))
            begin = int(rng.integers(0, max(1, clip.shape[1] - length)))
            frames = len(data["tokens"]) // block_size * block_size
            yield Example(
                str(data["lyrics"]),
                data["tokens"][:frames].astype(np.int64),
                data["lyric_index"][:frames].astype(np.int64),
                tuple(data["facts"].tolist()),
                torch.from_numpy(data["latents"][:, :frames].astype(np.float32)),
                torch.from_numpy(clip[:, begin : begin + length].astype(np.float32)),
            )


def stack_tokens(examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Tokens [B, longest] padded with 0, and lengths [B]."""
    lengths = torch.tensor([len(e.tokens) for e in examples])
    tokens = torch.zeros(len(examples), int(lengths.max()), dtype=torch.long)
    for row, example in zip(tokens, examples, strict=True):
        row[: len(example.tokens)] = torch.from_numpy(example.tokens)
    return tokens, lengths


def stack_latents(examples: Sequence[Example], latent_dim: int, longest: int) -> Tensor:
    """Latents [B, L, longest], zeros where an example has none or has ended."""
    latents = torch.zeros(len(examples), latent_dim, longest)
    for row, example in zip(latents, examples, strict=True):
        if example.latents is not None:
            row[:, : example.latents.shape[1]] = example.latents
    return latents
