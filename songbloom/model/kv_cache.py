"""Keys and values of everything the language model has read, in one preallocated block."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from songbloom.model.rotary import rotary_table, rotate

ALIGNED = 8  # positions: CUDA's attention wants masks of such a width


class _Store:
    """[layers, B, heads, capacity, head_dim] in ``dtype``; int8 keeps a float16 scale a position and head."""

    def __init__(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        self.data = torch.zeros(*shape, dtype=dtype, device=device)
        self.scale = torch.zeros(*shape[:-1], 1, dtype=torch.float16, device=device) if dtype == torch.int8 else None

    def write(self, layer: int | slice, begin: int, x: Tensor, rows: slice = slice(None)) -> None:
        span = slice(begin, begin + x.shape[-2])
        x, scale = self._kept(x)
        self.data[layer, rows, :, span] = x
        if self.scale is not None:
            self.scale[layer, rows, :, span] = scale

    def write_at(self, layer: int, place: Tensor, x: Tensor) -> None:
        """The same for one position [B, heads, 1, head_dim], at a ``place`` [1] that the device alone knows."""
        x, scale = self._kept(x)
        self.data[layer].index_copy_(2, place, x)
        if self.scale is not None:
            self.scale[layer].index_copy_(2, place, scale)

    def _kept(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` and its scale as they are kept; without a scale the second means nothing."""
        if self.scale is None:
            return x.to(self.data.dtype), x
        scale = (x.abs().amax(-1, keepdim=True).float() / 127).clamp(min=1e-7).half()
        return (x.float() / scale.float()).round().clamp(-127, 127).to(torch.int8), scale

    def read(self, layer: int | slice, begin: int, end: int, dtype: torch.dtype) -> Tensor:
        x = self.data[layer, :, :, begin:end]
        return x if self.scale is None else x.to(dtype) * self.scale[layer, :, :, begin:end].to(dtype)

    def take(self, rows: Tensor) -> None:
        self.data = self.data[:, rows]
        if self.scale is not None:
            self.scale = self.scale[:, rows]

    @property
    def bytes(self) -> int:
        scale = 0 if self.scale is None else self.scale.numel() * self.scale.element_size()
        return self.data.numel() * self.data.element_size() + scale


class KVCache:
    """Static cache [layers, B, heads, capacity, head_dim] owned by the caller of the model.

    ``position`` counts the filled positions; ``update`` writes new ones behind them, ``advance`` moves on once
    all layers have written. Rows may be padded at their beginning; padding is never read.

    Args:
        dtype: what the model computes in.
        eight_bit: keep int8 with a scale a position and head: half of bfloat16's memory.
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
        eight_bit: bool = False,
    ) -> None:
        shape = (layers, batch, heads, -(-capacity // ALIGNED) * ALIGNED, head_dim)
        kept = torch.int8 if eight_bit else dtype
        self.k, self.v = _Store(shape, kept, device), _Store(shape, kept, device)
        self.dtype, self.capacity, self.position = dtype, capacity, 0
        self._padding: Tensor | None = None  # [B] positions

    @property
    def bytes(self) -> int:
        return self.k.bytes + self.v.bytes

    def pad(self, padding: Sequence[int]) -> None:
        """Say how many positions at the beginning of each row are padding."""
        self._padding = torch.tensor(list(padding), device=self.k.data.device) if any(padding) else None

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write ``k``, ``v`` [B, heads, N, head_dim]; return all keys and values so far."""
        self.k.write(layer, self.position, k)
        self.v.write(layer, self.position, v)
        end = self.position + k.shape[2]
        return self.k.read(layer, 0, end, k.dtype), self.v.read(layer, 0, end, v.dtype)

    def advance(self, count: int) -> None:
        self.position += count

    def positions(self, new: int) -> Tensor:
        """Where ``new`` positions will be, [new]."""
        return torch.arange(self.position, self.position + new, device=self.k.data.device)

    def mask(self, new: int) -> Tensor | None:
        """Which keys each of ``new`` queries may read: [B or 1, 1, new, position + new] bool; None where all or
        plainly causal from the start."""
        if self._padding is None and (self.position == 0 or new == 1):
            return None
        keys = torch.arange(self.position + new, device=self.k.data.device)
        return self.readable(keys, keys[self.position :])

    def readable(self, keys: Tensor, queries: Tensor) -> Tensor:
        """Which of the positions ``keys`` [n] each of the positions ``queries`` [m] may read, [B or 1, 1, m, n]."""
        queries = queries[:, None]
        if self._padding is None:
            return (keys <= queries)[None, None]
        real = keys >= self._padding[:, None, None]
        # Padding reads itself, or its softmax would have nothing to sum.
        return ((keys <= queries) & (real | (keys == queries)))[:, None]

    def take(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order."""
        index = torch.tensor(list(rows), device=self.k.data.device)
        self.k.take(index)
        self.v.take(index)
        if self._padding is not None:
            self._padding = self._padding[index]

    def copy_rows(self, rows: Sequence[int], source: KVCache, source_rows: Sequence[int]) -> None:
        """Read what ``source`` has read, row by row, at the same positions."""
        for own, other in ((self.k, source.k), (self.v, source.v)):
            read = other.read(slice(None), 0, source.position, self.dtype)
            for row, source_row in zip(rows, source_rows, strict=True):
                own.write(slice(None), 0, read[:, source_row : source_row + 1], rows=slice(row, row + 1))
        self.position = source.position

    def drop(self, begin: int, count: int, rotary_base: float) -> None:
        """Forget ``count`` positions from ``begin`` on; those behind move up, their keys turned to the new places.

        A rotation by position p followed by one by -count is the rotation by p - count, so distances between what
        is left stay as they were, and no position leaves the trained range.
        """
        end = self.position
        keys = self.k.read(slice(None), begin + count, end, self.dtype)
        values = self.v.read(slice(None), begin + count, end, self.dtype).clone()
        back = torch.tensor([-count], device=keys.device)
        cos, sin = rotary_table(back, keys.shape[-1], rotary_base, torch.float32)
        self.k.write(slice(None), begin, rotate(keys.float(), cos, sin))
        self.v.write(slice(None), begin, values)
        self.position = end - count


class NextPosition:
    """The next position of a cache, told by a tensor, so that a step recorded once serves many positions.

    A step through it writes at ``place`` [1] and reads the first ``span`` positions, those beyond ``place`` masked.
    Beside the cache that tensor is all it keeps: whoever records a step has to keep what it reads.
    """

    def __init__(self, cache: KVCache, span: int) -> None:
        self._cache, self._span = cache, span
        self.place = torch.full((1,), cache.position, device=cache.k.data.device)

    def positions(self, new: int) -> Tensor:
        return self.place

    def mask(self, new: int) -> Tensor:
        """Added to the logits, [B or 1, 1, 1, span]; bools would be turned into such a mask in each layer."""
        hidden = ~self._cache.readable(torch.arange(self._span, device=self.place.device), self.place)
        return torch.zeros(hidden.shape, dtype=self._cache.dtype, device=hidden.device).masked_fill_(hidden, -torch.inf)

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write ``k``, ``v`` [B, heads, 1, head_dim]; return the first ``span`` keys and values."""
        cache, span = self._cache, self._span
        cache.k.write_at(layer, self.place, k)
        cache.v.write_at(layer, self.place, v)
        return cache.k.read(layer, 0, span, k.dtype), cache.v.read(layer, 0, span, v.dtype)

    def advance(self, count: int) -> None:
        """The cache is moved on by whoever runs the recorded step."""


AnyCache = KVCache | NextPosition
