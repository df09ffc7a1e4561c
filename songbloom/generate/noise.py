"""All randomness of a song, drawn from its seed and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

_PROMPT, _TOKENS, _FLOW = range(3)


class SongNoise:
    """Noise of one song by purpose and block.

    Each draw has a generator of its own on the CPU, seeded by (seed, purpose, block), so a song is the same
    alone or in a batch, resumed or not, and whatever device computes it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def _generator(self, purpose: int, block: int = 0) -> torch.Generator:
        # An odd multiplier mixes the three into one 63-bit seed; neighbours in seed or block share nothing.
        mixed = (self.seed * 0x9E3779B97F4A7C15 + block * 0xD1B54A32D192ED03 + purpose * 0x8CB92BA72F3D8DD7) % (1 << 63)
        return torch.Generator().manual_seed(mixed)

    def prompt(self, shape: tuple[int, ...]) -> Tensor:
        """Standard normal noise of the style clip's latent sampling."""
        return torch.randn(shape, generator=self._generator(_PROMPT))

    def tokens(self, block: int, shape: tuple[int, ...]) -> Tensor:
        """Exp(1) noise [bs, V] of a block's token draws."""
        return torch.empty(shape).exponential_(generator=self._generator(_TOKENS, block))

    def flow(self, block: int, shape: tuple[int, ...]) -> Tensor:
        """Standard normal noise [bs, L] a block's latents start from."""
        return torch.randn(shape, generator=self._generator(_FLOW, block))
