"""The sketch language model: a Llama-style causal transformer over embeddings.

It has no token table of its own: its input is the prefix (style clip, lyrics) followed by the song's sequence of
sketch-token and latent embeddings (see ``songbloom.model.network``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from songbloom.model.kv_cache import AnyCache
from songbloom.model.rotary import rotary_table, rotate


class RMSNorm(nn.Module):
    """x / rms(x) * weight, the mean of squares in float32."""

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        normed = F.rms_norm(x.float(), (x.shape[-1],), eps=self.eps)
        return self.weight * normed.to(x.dtype)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)); gate and up are one projection."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * inner, bias=False)
        self.down = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class CausalAttention(nn.Module):
    """Multi-head causal self-attention over everything in the cache and the new positions."""

    attend = staticmethod(F.scaled_dot_product_attention)

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, dim // num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries and keys, and values: each [B, heads, N, head_dim]."""
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k = rotate(qkv[:2], cos, sin)
        return q, k, qkv[2]

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: AnyCache | None, layer: int, mask: Tensor | None = None
    ) -> Tensor:
        q, k, v = self.project(x, cos, sin)
        if cache is not None:
            k, v = cache.update(layer, k, v)
        causal = mask is None and k.shape[2] == x.shape[1] > 1
        y = self.attend(q, k, v, attn_mask=mask, is_causal=causal)
        return self.out(y.transpose(1, 2).flatten(2))


class DecoderLayer(nn.Module):
    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(dim)
        self.attn = CausalAttention(dim, num_heads)
        self.mlp_norm = RMSNorm(dim)
        self.mlp = SwiGLU(dim, 4 * dim)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: AnyCache | None, layer: int, mask: Tensor | None = None
    ) -> Tensor:
        x = x + self.attn(self.attn_norm(x), cos, sin, cache, layer, mask)
        return x + self.mlp(self.mlp_norm(x))


class SketchLM(nn.Module):
    """Pre-norm decoder layers and a final norm."""

    def __init__(self, dim: int, num_heads: int, num_layers: int, rotary_base: float) -> None:
        super().__init__()
        self.head_dim, self.rotary_base = dim // num_heads, rotary_base
        self.gradient_checkpointing = False
        self.layers = nn.ModuleList(DecoderLayer(dim, num_heads) for _ in range(num_layers))
        self.norm = RMSNorm(dim)

    def rotary(self, x: Tensor, cache: AnyCache | None = None) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the positions of ``x`` [B, N, D], each [N, head_dim]."""
        positions = torch.arange(x.shape[1], device=x.device) if cache is None else cache.positions(x.shape[1])
        return rotary_table(positions, self.head_dim, self.rotary_base, x.dtype)

    def forward(self, x: Tensor, cache: AnyCache | None = None) -> Tensor:
        """Hidden states after the final norm, [B, N, D], for new inputs ``x`` [B, N, D]."""
        cos, sin = self.rotary(x, cache)
        mask = cache.mask(x.shape[1]) if cache is not None else None
        for index, layer in enumerate(self.layers):
            if self.gradient_checkpointing and self.training:
                x = checkpoint(layer, x, cos, sin, cache, index, mask, use_reentrant=False)
            else:
                x = layer(x, cos, sin, cache, index, mask)
        if cache is not None:
            cache.advance(x.shape[1])
        return self.norm(x)
