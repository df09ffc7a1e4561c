"""A refiner for small models: it predicts a block's latents at once, then the flow around its prediction.

A small network learns the mean of the latents, given words and melody, many times sooner than their whole
distribution. So one part learns the mean by regression, and the flow transformer has only the rest to learn: with the
prediction mu and the deviation rho of what it misses, the flow of a Gaussian around mu is known in closed form, and
the transformer adds what differs from it. That is the preconditioning of Karras et al. 2022 (arXiv:2206.00364,
appendix B.6) around a prior as in Grad-TTS (arXiv:2105.06337), written for the straight path x = (1 - t) z + t n.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from songbloom.model.refiner import ROTARY_BASE, LayerNorm, RefinerLayer, TimestepEmbedding
from songbloom.model.rotary import rotary_table

WINDOW = 7  # tokens a frame's prediction reads at first hand
DEPTH = 3


class Predictor(nn.Module):
    """Mean of a block's latents: a convolution over its tokens and a few residual layers, frame by frame."""

    def __init__(self, dim: int, hidden: int, latent_dim: int, block_size: int) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(dim)
        self.tokens = nn.Conv1d(dim, hidden, WINDOW, padding=WINDOW // 2)
        self.state = nn.Linear(dim, hidden)
        self.before = nn.Linear(latent_dim, hidden, bias=False)  # the frame one block ago
        self.last = nn.Linear(latent_dim, hidden, bias=False)  # the frame just before the block
        self.position = nn.Parameter(torch.zeros(block_size, hidden))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))
            for _ in range(DEPTH)
        )
        self.norm = nn.LayerNorm(hidden)
        self.out = nn.Linear(hidden, latent_dim)

    def forward(self, h: Tensor, s: Tensor, history: Tensor) -> tuple[Tensor, Tensor]:
        """The mean [B, bs, L] and the last hidden state [B, bs, hidden]; arguments as of the refiner."""
        x = self.tokens(self.token_norm(s).transpose(1, 2)).transpose(1, 2) + self.before(history) + self.position
        x = x + (self.state(h) + self.last(history[:, -1]))[:, None]
        for layer in self.layers:
            x = x + layer(x)
        x = self.norm(x)
        return self.out(x), x


class PredictiveRefiner(nn.Module):
    """Velocity of a block's latents around a predicted mean.

    ``deviation`` [L] is the standard deviation of what the prediction misses, as its logarithm.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_layers: int,
        latent_dim: int,
        timestep_features: int,
        *,
        hidden: int,
        block_size: int,
    ) -> None:
        super().__init__()
        self.latent_dim, self.rotary_dim = latent_dim, max(dim // num_heads // 2, 32)
        self.predictor = Predictor(dim, hidden, latent_dim, block_size)
        self.deviation = nn.Parameter(torch.zeros(latent_dim))
        self.timestep = TimestepEmbedding(timestep_features, dim)
        self.project_hidden = nn.Linear(hidden, dim)
        self.project_in = nn.Linear(latent_dim, dim)
        self.layers = nn.ModuleList(RefinerLayer(dim, num_heads) for _ in range(num_layers))
        self.norm = LayerNorm(dim)
        self.project_out = nn.Linear(dim, latent_dim)

    @torch.no_grad()
    def expect(self, mean: Tensor, deviation: Tensor) -> None:
        """Predict ``mean`` [L] to begin with, and expect to miss by ``deviation`` [L]: a step moves them little."""
        self.predictor.out.bias.copy_(mean)
        self.deviation.copy_(deviation.log())

    def prepare(self, h: Tensor, s: Tensor, history: Tensor) -> Tensor:
        """What does not change along the flow: the mean beside the flow transformer's input, [B, bs, L + D]."""
        mean, hidden = self.predictor(h, s, history)
        return torch.cat([mean, self.project_hidden(hidden)], dim=-1)

    def mean(self, prepared: Tensor) -> Tensor:
        """The predicted latents [B, bs, L]."""
        return prepared[..., : self.latent_dim]

    def forward(self, x: Tensor, t: Tensor, prepared: Tensor) -> Tensor:
        """Velocity (noise - data) [B, bs, L] at noisy latents ``x`` and times ``t`` [B] (1 = noise, 0 = data).

        With z = mu + e and e of deviation rho, y = x - (1 - t) mu is (1 - t) e + t n; the velocity n - z then has
        the mean a y - mu, a = (t - (1 - t) rho^2) / q, and the deviation rho / sqrt(q), q = (1 - t)^2 rho^2 + t^2.
        """
        mean, context = prepared[..., : self.latent_dim].detach(), prepared[..., self.latent_dim :]
        time, rho = t[:, None, None].to(x.dtype), self.deviation.exp()
        q = ((1 - time) * rho) ** 2 + time**2
        y = x - (1 - time) * mean
        embedded = self.timestep(t.to(x.dtype))[:, None]
        tokens = torch.cat([embedded, context + self.project_in(y * q.rsqrt()) + embedded], dim=1)
        positions = torch.arange(tokens.shape[1], device=x.device)
        cos, sin = rotary_table(positions, self.rotary_dim, ROTARY_BASE, x.dtype)
        for layer in self.layers:
            tokens = layer(tokens, cos, sin)
        shape = self.project_out(self.norm(tokens[:, 1:]))
        return (time - (1 - time) * rho**2) / q * y - mean + rho * q.rsqrt() * shape

    def prediction_loss(self, prepared: Tensor, data: Tensor) -> Tensor:
        """Mean squared error of the prediction; ``deviation`` follows it by its own likelihood."""
        error = (self.mean(prepared) - data).square()
        scaled = error.detach() * (-2 * self.deviation).exp()
        return error.mean() + 0.5 * (scaled + 2 * self.deviation).mean()
