"""Keys and values of everything the language model has read, in one preallocated block."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Static cache [layers, B, heads, capacity, head_dim] owned by the caller of the model.

    ``position`` counts the filled positions; ``update`` writes new ones behind them, ``advance`` moves on once
    all layers have written.
    """

    def __init__(
        self,
        layers: int,
        batch: int,
        heads: int,
        capacity: int,
        head_dim: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        shape = (layers, batch, heads, capacity, head_dim)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.position = 0

    @property
    def capacity(self) -> int:
        return self.k.shape[3]

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write ``k``, ``v`` [B, heads, N, head_dim]; return all keys and values so far."""
        end = self.position + k.shape[2]
        self.k[layer, :, :, self.position : end] = k
        self.v[layer, :, :, self.position : end] = v
        return self.k[layer, :, :, :end], self.v[layer, :, :, :end]

    def advance(self, count: int) -> None:
        self.position += count
