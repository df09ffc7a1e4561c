"""Models to measure: any that can be loaded, and two with random weights in the published form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from songbloom.checkpoints.load import LoadedModel, fill, same_name, settle
from songbloom.model.config import LyricsConfig, ModelConfig, NetConfig
from songbloom.model.network import SongBloomNet
from songbloom.model.vae import build_vae
from songbloom.quantize.network import check

# Sizes of the published full model (1.87 B parameters), and of a model a CPU can be measured with.
SIZES: dict[str, dict[str, Any]] = {
    "full": {"dim": 1536, "num_heads": 24, "lm_layers": 36, "diff_layers": 12},
    "benchmark": {"dim": 512, "num_heads": 8, "lm_layers": 12, "diff_layers": 4},
}
_CODER = {"channels": 128, "c_mults": [1, 2, 4, 8, 16], "strides": [2, 4, 4, 6, 10], "use_snake": True}
_VAE = {
    "model_type": "autoencoder",
    "sample_rate": 48000,
    "audio_channels": 2,
    "model": {
        "encoder": {"type": "oobleck", "config": _CODER | {"in_channels": 2, "latent_dim": 128}},
        "decoder": {"type": "oobleck", "config": _CODER | {"out_channels": 2, "latent_dim": 64, "final_tanh": False}},
        "bottleneck": {"type": "vae"},
        "latent_dim": 64,
        "downsampling_ratio": 1920,
        "io_channels": 2,
    },
}


class RandomWeights:
    """Stands for a file of weights: gains are ones, everything else is small noise."""

    path = Path("random weights")

    def __init__(self, module: nn.Module) -> None:
        self.shapes = {name: t.shape for name, t in module.state_dict().items()}
        self.names = frozenset(self.shapes)

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(0)
        return {
            name: torch.ones(shape) if len(shape) < 2 else torch.randn(shape, generator=generator) * 0.02
            for name, shape in ((name, self.shapes[name]) for name in names)
        }


def random_config(size: str) -> ModelConfig:
    """The published configuration in one of :data:`SIZES`."""
    lyrics = LyricsConfig(vocab=("", *(f"P{i}" for i in range(299))), max_len=600, max_sentences=50)
    net = NetConfig(
        num_pitch=16384,
        block_size=16,
        latent_dim=64,
        timestep_features=256,
        rotary_base=20000.0,
        lyrics=lyrics,
        prompt_max_len=250,
        **SIZES[size],
    )
    return ModelConfig(net, _VAE, 48000, 150.0, 10.0, "pinyin")


def random_model(
    size: str, dtype: torch.dtype, device: torch.device, quantization: str, *, offload: bool = False
) -> LoadedModel:
    """A model of one of :data:`SIZES`; weights are quantized while they are made."""
    check(quantization, device)
    config = replace(random_config(size), quantization=quantization)
    with torch.device("meta"):
        net = SongBloomNet(config.net)
    vae: Any = build_vae(_VAE)
    first = torch.device("cpu") if offload else device
    fill(net, RandomWeights(net), same_name, dtype, first, quantization)
    fill(vae, RandomWeights(vae), same_name, torch.float32, first)
    return settle(LoadedModel(config, net, vae), dtype, device, offload=offload)
