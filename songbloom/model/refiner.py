"""The refiner: a diffusion transformer that predicts the flow of one block of latents."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from songbloom.model.rotary import rotary_table, rotate
from songbloom.model.sketch_lm import SwiGLU

ROTARY_BASE = 20000.0  # fixed in the published refiner, whatever the language model uses


class LayerNorm(nn.Module):
    """Layer norm with a gain and a bias that is never trained."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))
        self.beta: Tensor
        self.register_buffer("beta", torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (x.shape[-1],), self.gamma, self.beta, eps=1e-5)


class BidirectionalAttention(nn.Module):
    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, dim // num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k = rotate(qkv[:2], cos, sin)
        y = F.scaled_dot_product_attention(q, k, qkv[2])
        return self.out(y.transpose(1, 2).flatten(2))


class RefinerLayer(nn.Module):
    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.attn_norm = LayerNorm(dim)
        self.attn = BidirectionalAttention(dim, num_heads)
        self.mlp_norm = LayerNorm(dim)
        self.mlp = SwiGLU(dim, 4 * dim)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attn(self.attn_norm(x), cos, sin)
        return x + self.mlp(self.mlp_norm(x))


class TimestepEmbedding(nn.Module):
    """Random Fourier features of t in [0, 1], then a two-layer MLP: [B] -> [B, D]."""

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.randn(features // 2, 1))
        self.fc1 = nn.Linear(features, dim, bias=False)
        self.fc2 = nn.Linear(dim, dim)

    def forward(self, t: Tensor) -> Tensor:
        angles = 2 * math.pi * t[:, None] @ self.frequencies.T
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.fc2(F.silu(self.fc1(features)))


class Refiner(nn.Module):
    """Velocity of a block's latents given the sketch and the previous block.

    The transformer reads [timestep, h, s_1..s_bs, history_1..history_bs, x_1..x_bs] and answers at the last bs
    positions.
    """

    def __init__(self, dim: int, num_heads: int, num_layers: int, latent_dim: int, timestep_features: int) -> None:
        super().__init__()
        self.rotary_dim = max(dim // num_heads // 2, 32)
        self.timestep = TimestepEmbedding(timestep_features, dim)
        same = latent_dim == dim
        self.project_in: nn.Module = nn.Identity() if same else nn.Linear(latent_dim, dim)
        self.project_out: nn.Module = nn.Identity() if same else nn.Linear(dim, latent_dim)
        self.layers = nn.ModuleList(RefinerLayer(dim, num_heads) for _ in range(num_layers))

    def prepare(self, h: Tensor, s: Tensor, history: Tensor) -> Tensor:
        """What does not change along the flow, [B, 1 + 2 bs, D].

        Args:
            h: the language model's hidden state at the block's last token [B, D].
            s: the block's token embeddings [B, bs, D].
            history: the previous block's latents [B, bs, L], zeros before the first.
        """
        return torch.cat([h[:, None], s, self.project_in(history)], dim=1)

    def forward(self, x: Tensor, t: Tensor, prepared: Tensor) -> Tensor:
        """Velocity (noise - data), [B, bs, L].

        Args:
            x: noisy latents [B, bs, L] at time t.
            t: times [B] (1 = noise, 0 = data).
            prepared: of :meth:`prepare`.
        """
        tokens = torch.cat([self.timestep(t.to(x.dtype))[:, None], prepared, self.project_in(x)], dim=1)
        positions = torch.arange(tokens.shape[1], device=x.device)
        cos, sin = rotary_table(positions, self.rotary_dim, ROTARY_BASE, x.dtype)
        for layer in self.layers:
            tokens = layer(tokens, cos, sin)
        return self.project_out(tokens[:, -x.shape[1] :])
