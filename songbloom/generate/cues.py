"""What a song is told as it goes on, beside its prefix: the lyric item being sung, and the beat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from songbloom.generate.lyric_path import NOWHERE, LyricPath, Place
from songbloom.model.network import SongBloomNet


class Cues:
    """The cues of one song; zeros of whatever the network or the song has none of.

    Args:
        prefix: [n, D], not padded where the network has a cursor.
        path: through the song's lyrics.
        bar: frames of a bar.
    """

    def __init__(self, net: SongBloomNet, prefix: Tensor, path: LyricPath | None, bar: int | None) -> None:
        none = torch.zeros(1, net.config.dim, dtype=net.dtype, device=net.device)
        sung = net.sung(prefix, path.length) if path else None
        beats = net.metronome(bar) if net.metronome is not None and bar else None
        self.silent = sung is None and beats is None
        self._path = path if sung is not None else None
        self._sung = none if sung is None else sung  # the last row, of NOWHERE, is zero
        self._coming: Tensor
        self._sounding: Tensor
        self._coming, self._sounding = (none, none) if beats is None else beats

    def at(self, place: Place | None, frame: int) -> Tensor:
        """What the language model is told before ``frame``, having come to ``place`` in the lyrics, [D]."""
        item = NOWHERE if self._path is None else self._path.item(place)
        return self._sung[item] + self._coming[frame % len(self._coming)]

    def along(self, tokens: Sequence[int]) -> Tensor:
        """What the language model is told at bos and at each of a whole song's tokens, [1 + n, D]."""
        frames = torch.arange(1 + len(tokens), device=self._coming.device)
        items = torch.full_like(frames, NOWHERE)
        if self._path is not None:
            items = torch.from_numpy(self._path.trace(tokens)[0]).to(frames.device)
        return self._sung[items] + self._coming[frames % len(self._coming)]

    def sounding(self, first: int, count: int) -> Tensor:
        """What the refiner is told of ``count`` frames from ``first`` on, [count, D]."""
        frames = torch.arange(first, first + count, device=self._sounding.device)
        return self._sounding[frames % len(self._sounding)]
