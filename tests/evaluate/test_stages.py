"""A small random network: what reaches the refiner, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from songbloom.evaluate.stages import repaint
from songbloom.generate.noise import SongNoise
from songbloom.generate.patches import ComposeSettings, SongTask, compose, paint, start
from songbloom.model.network import SongBloomNet
from songbloom.train.mini import net_config

PHONEMES = "[verse] HH AH0 L OW1 ."


@pytest.fixture(scope="module")
def net() -> SongBloomNet:
    config = replace(
        net_config(), dim=64, num_heads=2, lm_layers=2, diff_layers=1, latent_dim=8, predictor=16, timbre=True
    )
    torch.manual_seed(0)
    net = SongBloomNet(config).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return net


def task_for(net: SongBloomNet, guidance: str = "h") -> SongTask:
    clip = torch.randn(8, 40, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        prefix, timbre = net.prefix(clip, PHONEMES), net.timbre(clip)
    settings = ComposeSettings(max_frames=48, steps=4, diffusion_temperature=1.0, guidance=guidance)
    return SongTask(prefix, SongNoise(5), settings, timbre)


def composed(net: SongBloomNet, task: SongTask) -> tuple[torch.Tensor, torch.Tensor]:
    patches = list(compose(net, start(net, [task])))
    return torch.cat([p.tokens for p in patches]), torch.cat([p.latents for p in patches], dim=1)


@pytest.mark.parametrize("guidance", ["h", "none", "global"])
def test_told_its_own_song_it_paints_it_again(net, guidance):
    """So timbre, history, noise and guidance are those of generation."""
    task = task_for(net, guidance)
    tokens, latents = composed(net, task)
    assert tokens.shape[0] >= 32
    assert torch.allclose(repaint(net, task, tokens, latents), latents, atol=1e-4)


def test_the_clips_timbre_is_heard(net):
    task = task_for(net)
    tokens, latents = composed(net, task)
    assert not torch.allclose(repaint(net, replace(task, timbre=None), tokens, latents), latents, atol=1e-2)


def test_it_goes_on_from_its_own_block_and_not_from_the_true_one(net):
    task = task_for(net, "none")
    tokens, latents = composed(net, task)
    block, other = net.config.block_size, latents.clone()
    other[:, :block] += 1.0  # now the true first block is not the painted one
    painted = repaint(net, task, tokens, other)
    assert torch.allclose(painted[:, :block], latents[:, :block], atol=1e-4)
    with torch.no_grad():
        song = torch.cat([net.bos[None], net.embed_block(tokens[None], other[None])[0]])
        hidden = net.lm(torch.cat([task.prefix, song])[None])[0, len(task.prefix) + 1 :]
        h = hidden[2 * block][None] + task.timbre  # after the last token of the second block
        noise = task.noise.flow(1, (block, net.config.latent_dim))[None]
        history, span = painted[:, :block].T[None], slice(block, 2 * block)
        beats = torch.zeros(1, block, net.config.dim)
        expected = paint(net, tokens[None, span], beats, h, None, history, noise, task.settings)
    assert torch.allclose(painted[:, span], expected[0].T, atol=1e-4)
