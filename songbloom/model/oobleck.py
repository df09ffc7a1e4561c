"""Oobleck, the published VAE: 48 kHz stereo <-> latents, weight norm folded into plain convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from songbloom.errors import CheckpointError

DILATIONS = (1, 3, 9)  # of the residual units


class Snake(nn.Module):
    """x + sin(x * e^alpha)^2 / (e^beta + 1e-9), per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        frequency = self.alpha.exp()[:, None]
        magnitude = (self.beta.exp() + 1e-9).reciprocal()[:, None]
        return torch.addcmul(x, torch.sin(x * frequency).square(), magnitude)


class ResidualUnit(nn.Sequential):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__(
            Snake(channels),
            nn.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation),
            Snake(channels),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def _residual_units(channels: int) -> list[nn.Module]:
    return [ResidualUnit(channels, dilation) for dilation in DILATIONS]


def _channels(config: Mapping[str, Any]) -> list[int]:
    return [config["channels"] * mult for mult in (1, *config["c_mults"])]


class Encoder(nn.Sequential):
    """[B, in_channels, n] -> mean and scale stacked along channels, [B, latent_dim, F]."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        widths = _channels(config)
        layers: list[nn.Module] = [nn.Conv1d(config["in_channels"], widths[0], 7, padding=3)]
        for before, after, stride in zip(widths[:-1], widths[1:], config["strides"], strict=True):
            down = nn.Conv1d(before, after, 2 * stride, stride=stride, padding=math.ceil(stride / 2))
            layers += [nn.Sequential(*_residual_units(before), Snake(before), down)]
        layers += [Snake(widths[-1]), nn.Conv1d(widths[-1], config["latent_dim"], 3, padding=1)]
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """[B, latent_dim, F] -> audio [B, out_channels, n]."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        widths = _channels(config)
        layers: list[nn.Module] = [nn.Conv1d(config["latent_dim"], widths[-1], 7, padding=3)]
        stages = list(zip(widths[:-1], widths[1:], config["strides"], strict=True))
        for after, before, stride in reversed(stages):
            up = nn.ConvTranspose1d(before, after, 2 * stride, stride=stride, padding=math.ceil(stride / 2))
            layers += [nn.Sequential(Snake(before), up, *_residual_units(after))]
        layers += [Snake(widths[0]), nn.Conv1d(widths[0], config["out_channels"], 7, padding=3, bias=False)]
        super().__init__(*layers)


def _context(strides: Sequence[int]) -> int:
    """Latents on either side that the decoder's kernels reach: 9 with the published strides, whose overlap is 16."""
    reach: float = 3  # of the last convolution
    for stride in strides:
        reach = (reach + 3 * sum(DILATIONS) + stride) / stride  # residual units, then the transposed convolution
    return math.ceil(reach + 3)


class OobleckVae(nn.Module):
    """The autoencoder described by a published ``vae.json``.

    Attributes:
        downsampling_ratio: samples per latent.
        context: latents on either side that influence a decoded sample, rounded up.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        try:
            model = config["model"]
            encoder, decoder = model["encoder"]["config"], model["decoder"]["config"]
            kinds = {"encoder": "oobleck", "decoder": "oobleck", "bottleneck": "vae"}
            unsupported = [
                f"{part} {model[part]['type']!r}" for part in kinds if model[part]["type"] != kinds[part]
            ]
            if (
                not encoder.get("use_snake")
                or not decoder.get("use_snake")
                or decoder.get("final_tanh", True)
            ):
                unsupported.append("activations other than snake without a final tanh")
            if unsupported:
                raise CheckpointError(f"VAE configuration: not supported: {', '.join(unsupported)}")
            self.sample_rate: int = config["sample_rate"]
            self.audio_channels: int = config.get("audio_channels", 2)
            self.latent_dim: int = model["latent_dim"]
            strides: Sequence[int] = decoder["strides"]
            self.encoder, self.decoder = Encoder(encoder), Decoder(decoder)
        except KeyError as error:
            raise CheckpointError(f"VAE configuration: key {error} is missing") from error
        self.downsampling_ratio = math.prod(strides)
        self.context = _context(strides)

    def encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale, each [B, L, F], of ``audio`` [B, 2, n]; the deviation is softplus(scale) + 1e-4."""
        mean, scale = self.encoder(audio).chunk(2, dim=1)
        return mean, scale

    def decode(self, latents: Tensor) -> Tensor:
        """Audio [B, 2, F * ratio] of ``latents`` [B, L, F]."""
        return self.decoder(latents)
