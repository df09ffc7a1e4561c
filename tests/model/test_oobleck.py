"""The published autoencoder, with random weights: how far a latent is heard."""

from __future__ import annotations

import copy

import pytest
import torch

from songbloom.benchmark import models
from songbloom.generate.stream import StreamDecoder
from songbloom.model.oobleck import OobleckVae


@pytest.fixture(scope="module")
def vae() -> OobleckVae:
    """The published kernels and strides on few channels, in float64."""
    config = copy.deepcopy(models._VAE)
    for part in ("encoder", "decoder"):
        config["model"][part]["config"] |= {"channels": 2}
    torch.manual_seed(0)
    made = OobleckVae(config).double().eval()
    for parameter in made.decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


@torch.no_grad()
def test_context_is_what_one_latent_reaches(vae: OobleckVae) -> None:
    latents = torch.randn(1, vae.latent_dim, 48, dtype=torch.float64)
    changed = latents.clone()
    changed[..., 24] += 1
    difference = (vae.decode(latents) - vae.decode(changed)).abs().amax(1)[0].unflatten(0, (-1, vae.downsampling_ratio))
    touched = (difference.amax(1) > 0).nonzero().squeeze(1) - 24
    assert touched.abs().max() == vae.context == 9


@torch.no_grad()
@pytest.mark.parametrize("block", [4, 16])
def test_streamed_it_is_the_decoding_of_the_whole(vae: OobleckVae, block: int) -> None:
    latents = torch.randn(vae.latent_dim, 64, dtype=torch.float64)
    whole = vae.decode(latents[None])[0].float()
    decoder = StreamDecoder(vae)
    joined = torch.cat([decoder.push(part) for part in latents.split(block, dim=1)] + [decoder.finish()], dim=1)
    assert torch.allclose(joined, whole, atol=1e-5 * float(whole.abs().max()))
    less = StreamDecoder(vae, context=5)
    joined = torch.cat([less.push(part) for part in latents.split(block, dim=1)] + [less.finish()], dim=1)
    assert not torch.allclose(joined, whole, atol=1e-5 * float(whole.abs().max()))
