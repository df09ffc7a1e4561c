"""A model as a worker uses it: blocks of numpy in and out. The only module of the service that needs torch."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from songbloom.audio.wav_stream import to_pcm
from songbloom.errors import SongBloomError
from songbloom.request import QUANTIZATIONS
from songbloom.serve.records import SongOrder
from songbloom.serve.settings import ServeSettings
from songbloom.song import Song

if TYPE_CHECKING:
    from songbloom.generate.patches import Patch
    from songbloom.pipeline import Prepared


@dataclass(frozen=True)
class Block:
    """One finished block: ``tokens`` int64 [bs], ``latents`` float32 [L, bs], and the audio that became final with it,
    ``audio`` int16 [n, channels] at ``sample_rate`` (n may be 0).
    """

    tokens: NDArray[np.int64]
    latents: NDArray[np.float32]
    audio: NDArray[np.int16]
    sample_rate: int

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        rate = np.int64(self.sample_rate)
        np.savez(buffer, tokens=self.tokens, latents=self.latents, audio=self.audio, sample_rate=rate)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Block:
        """Raises ValueError (or what zipfile raises) if ``data`` is damaged."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            parts = {name: stored[name] for name in ("tokens", "latents", "audio")}
            return cls(**parts, sample_rate=int(stored["sample_rate"]))


@dataclass(frozen=True)
class Where:
    """Where one song is, in seconds; ``left_s`` None once it is longer than expected."""

    song_s: float
    expected_s: float
    left_s: float | None


class Composer(Protocol):
    """What a worker asks of a model; tests have one of a few lines."""

    name: str

    def prepare(self, order: SongOrder, clip: Path) -> Any:
        """Raises InvalidInput."""
        ...

    def compose(self, prepared: Any, seed: int, prior: Sequence[Block]) -> Iterator[Block]:
        """The blocks after ``prior``, each as soon as it is done."""
        ...

    def where(self, prepared: Any, blocks: int, composed: int, elapsed_s: float) -> Where:
        """Where a song of ``blocks`` blocks is, of which ``composed`` took ``elapsed_s``."""
        ...

    def song(self, prepared: Any, seed: int, blocks: Sequence[Block]) -> Song: ...


def choices(settings: ServeSettings) -> dict[str, list[str]]:
    """The precisions that models can be loaded with on this machine."""
    from songbloom import pipeline
    from songbloom.quantize.network import check

    quantizations, device = [], pipeline.choose_device(settings.device)
    for kind in QUANTIZATIONS:
        try:
            check(kind, device)
        except SongBloomError:
            continue  # its library is not installed
        quantizations.append(kind)
    return {"dtypes": ["auto", *pipeline.DTYPES], "quantizations": quantizations}


def memory(*, loaded: bool) -> int | None:
    """Bytes this process holds on the GPU if it uses one, else in memory; None where the system does not tell.

    Args:
        loaded: whether a model is; before, another thread may be in the midst of importing torch.
    """
    torch = sys.modules.get("torch") if loaded else None
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return int(torch.cuda.memory_reserved())
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


class ModelComposer:
    """A Composer that is a loaded model."""

    def __init__(self, name: str, settings: ServeSettings) -> None:
        """Raises InvalidInput or CheckpointError if there is no such model."""
        from songbloom import pipeline

        self.name = name
        self._model = pipeline.load(
            name,
            local_dir=settings.local_dir,
            dtype=settings.dtype,
            device=settings.device,
            quantization=settings.quantization,
            optimization_level=settings.optimization_level,
            profile=settings.profile,
        )

    def prepare(self, order: SongOrder, clip: Path) -> Prepared:
        return self._model.prepare(order.request(clip))

    def compose(self, prepared: Prepared, seed: int, prior: Sequence[Block]) -> Iterator[Block]:
        model, decoder = self._model, self._model.stream_decoder()
        earlier = [_patch(number, block) for number, block in enumerate(prior)]
        for patch in earlier:  # their audio is stored
            decoder.remember(patch.latents.to(model.net.device))
        for patch in model.patches(prepared, [seed], prior=earlier):
            audio = decoder.push(patch.latents.to(model.net.device))
            pcm = to_pcm(audio.numpy())
            yield Block(patch.tokens.numpy(), patch.latents.numpy(), pcm, model.vae.sample_rate)

    def where(self, prepared: Prepared, blocks: int, composed: int, elapsed_s: float) -> Where:
        progress = self._model.progress_at(blocks, prepared.expected_s, elapsed_s, composed=composed)
        return Where(progress.song_s, progress.expected_s, progress.left_s)

    def song(self, prepared: Prepared, seed: int, blocks: Sequence[Block]) -> Song:
        return self._model.song_of(prepared, seed, [_patch(number, block) for number, block in enumerate(blocks)])


def _patch(number: int, block: Block) -> Patch:
    import torch

    from songbloom.generate.patches import Patch

    return Patch(0, number, torch.from_numpy(block.tokens), torch.from_numpy(block.latents))
