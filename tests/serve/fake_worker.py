"""A worker whose model composes a block in milliseconds: ``python -m tests.serve.fake_worker``.

Words in the lyrics make it misbehave: ``!bug`` raises, ``!die`` kills the worker, ``!cannot`` is bad input. A block
takes SONGBLOOM_FAKE_BLOCK_S seconds; songs have up to SONGBLOOM_FAKE_MOST_BLOCKS.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from songbloom.audio import read_style_clip
from songbloom.errors import InvalidInput
from songbloom.serve.composer import Block, Where
from songbloom.serve.records import SongOrder
from songbloom.serve.settings import ServeSettings
from songbloom.serve.worker import run_worker
from songbloom.song import Song

RATE, BLOCK_S = 48_000, 0.64
SAMPLES = round(RATE * BLOCK_S)


class FakeComposer:
    """Songs of noise that depend on seed and block alone, as a model's do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._block_s = float(os.environ.get("SONGBLOOM_FAKE_BLOCK_S", "0.005"))

    def prepare(self, order: SongOrder, clip: Path) -> SongOrder:
        read_style_clip(clip, start_s=order.prompt_start)
        if "!cannot" in order.lyrics:
            raise InvalidInput("lyrics", order.lyrics, "cannot be sung")
        return order

    def compose(self, order: SongOrder, seed: int, prior: Sequence[Block]) -> Iterator[Block]:
        most = int(os.environ.get("SONGBLOOM_FAKE_MOST_BLOCKS", "10000"))
        count = min(most, max(1, round((order.settings.max_duration or 3.2) / BLOCK_S)))
        for number in range(len(prior), count):
            time.sleep(self._block_s)
            if "!bug" in order.lyrics:
                raise RuntimeError("secret detail")
            if "!die" in order.lyrics:
                os.kill(os.getpid(), signal.SIGKILL)
            noise = np.random.default_rng([seed, number])
            audio = noise.integers(-3000, 3000, (SAMPLES, 2)).astype(np.int16)
            yield Block(np.full(16, number), np.zeros((4, 16), np.float32), audio, RATE)

    def where(self, order: SongOrder, blocks: int, composed: int, elapsed_s: float) -> Where:
        expected_s = order.settings.max_duration or 3.2
        return Where(blocks * BLOCK_S, expected_s, elapsed_s / composed * (expected_s / BLOCK_S - blocks))

    def song(self, order: SongOrder, seed: int, blocks: Sequence[Block]) -> Song:
        audio = np.concatenate([block.audio for block in blocks]).T.astype(np.float32) / 32767
        return Song(
            audio=audio,
            sample_rate=RATE,
            tokens=np.concatenate([block.tokens for block in blocks]),
            latents=np.concatenate([block.latents for block in blocks], axis=1),
            idx=order.idx,
            lyrics=order.lyrics,
            phonemes="",
            prompt_name="prompt_audio",
            model=self.name,
            settings=replace(order.settings, seed=seed),
            ended=True,
        )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="worker %(message)s")
    run_worker(ServeSettings.read({}), supervised=True, load=FakeComposer)
