"""What every VAE of the package offers, how latents are sampled, and decoding in chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from songbloom.errors import CheckpointError
from songbloom.model.oobleck import OobleckVae
from songbloom.model.stft_vae import StftVae, StftVaeConfig

MIN_PROMPT_SAMPLES = 2048  # the published encoder is not run on less


class Vae(Protocol):
    """Audio [B, channels, n] <-> latents [B, L, F], always float32."""

    sample_rate: int
    audio_channels: int
    latent_dim: int
    downsampling_ratio: int

    @property
    def context(self) -> int:
        """Latents on either side of a sample that influence it."""
        ...

    def encode(self, audio: Tensor) -> tuple[Tensor, Tensor]: ...

    def decode(self, latents: Tensor) -> Tensor: ...


def build_vae(config: Mapping[str, Any]) -> Any:
    """The VAE a configuration describes: ours (``kind`` 'stft_vae') or the published form of Oobleck.

    Oobleck is made without storage, on the meta device: it is large and gets all its tensors from a checkpoint.
    """
    if config.get("kind") == "stft_vae":
        return StftVae(StftVaeConfig.from_dict({k: v for k, v in config.items() if k != "kind"}))
    if config.get("model_type") == "autoencoder":
        with torch.device("meta"):
            return OobleckVae(config)
    raise CheckpointError("VAE configuration: neither kind 'stft_vae' nor model_type 'autoencoder'")


def sample_latents(mean: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
    """A draw from the posterior: mean + (softplus(scale) + 1e-4) * noise."""
    return noise * (F.softplus(scale) + 1e-4) + mean


@torch.no_grad()
def encode_style(vae: Vae, clip: Tensor, noise: Any) -> Tensor:
    """Latents [L, F] of a mono style clip [1, n], float32.

    ``noise`` is called with the latents' shape [L, F] and returns standard normal draws. A clip of fewer than 2048
    samples has no latents, as in the published system.
    """
    if clip.shape[-1] < MIN_PROMPT_SAMPLES:
        return torch.zeros(vae.latent_dim, 0, device=clip.device)
    mean, scale = vae.encode(clip.float().expand(vae.audio_channels, -1)[None])
    return sample_latents(mean, scale, noise(tuple(mean.shape[1:])).to(mean.device)[None])[0]


@torch.no_grad()
def decode_chunked(vae: Vae, latents: Tensor, *, chunk: int = 128, overlap: int = 32) -> Tensor:
    """Audio [B, channels, F * ratio] of ``latents`` [B, L, F], decoded in chunks that forget their edges.

    The published schedule: chunks start every ``chunk - overlap`` latents, a last one ends at the end; each is
    trimmed by half the overlap at its inner edges. Fewer latents than one chunk are decoded at once (the
    published code fails on them).
    """
    total, ratio = latents.shape[-1], vae.downsampling_ratio
    if total <= chunk:
        return vae.decode(latents)
    starts = list(range(0, total - chunk + 1, chunk - overlap))
    if starts[-1] + chunk < total:
        starts.append(total - chunk)
    half = overlap // 2
    audio = latents.new_empty(latents.shape[0], vae.audio_channels, total * ratio)
    for begin in starts:
        piece = vae.decode(latents[..., begin : begin + chunk])
        left = half if begin else 0
        right = chunk - half if begin + chunk < total else chunk
        audio[..., (begin + left) * ratio : (begin + right) * ratio] = piece[
            ..., left * ratio : right * ratio
        ]
    return audio
