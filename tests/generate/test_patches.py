"""The block loop on a tiny random network: batches, resuming, stopping."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from songbloom.generate.noise import SongNoise
from songbloom.generate.patches import ComposeSettings, Patch, compose, start
from songbloom.generate.sampling import TokenSampling
from songbloom.model.config import LyricsConfig, NetConfig
from songbloom.model.network import SongBloomNet
from songbloom.train.trainer import initialise

BLOCK = 4
LYRICS = "[verse] AH0 B . AH0 , [outro]"
SETTINGS = ComposeSettings(max_frames=5 * BLOCK, sampling=TokenSampling(top_k=10), steps=3)


@pytest.fixture(scope="module")
def net() -> SongBloomNet:
    vocab = ("", "[verse]", "[outro]", ",", ".", "AH0", "B")
    lyrics = LyricsConfig(vocab=vocab, max_len=12, max_sentences=5, context=1)
    config = NetConfig(
        dim=64,
        num_heads=2,
        lm_layers=2,
        diff_layers=2,
        num_pitch=20,
        block_size=BLOCK,
        latent_dim=6,
        timestep_features=16,
        rotary_base=10000.0,
        lyrics=lyrics,
        prompt_max_len=8,
        init_std=0.1,
        pad_prefix=False,
    )
    net = SongBloomNet(config)
    initialise(net, seed=1)
    torch.nn.init.normal_(net.refiner.project_out.weight, std=0.1)
    with torch.no_grad():
        net.classifier[2].bias[config.eos] = -20.0
    return net.eval()


def make(
    net: SongBloomNet, seeds: list[int], settings: ComposeSettings = SETTINGS, **prior: torch.Tensor
) -> list[Patch]:
    style = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        prefixes = net.guidance_prefixes(style, LYRICS)[:, None].expand(-1, len(seeds), -1, -1)
    state = start(net, prefixes, settings, **prior)
    return list(compose(net, state, settings, [SongNoise(seed) for seed in seeds]))


def song(patches: list[Patch], number: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    own = [p for p in patches if p.song == number]
    return torch.cat([p.tokens for p in own]), torch.cat([p.latents for p in own], dim=1)


def test_same_seed_same_song(net):
    first, second, other = make(net, [7]), make(net, [7]), make(net, [8])
    assert torch.equal(song(first)[0], song(second)[0]) and torch.equal(song(first)[1], song(second)[1])
    assert not torch.equal(song(first)[0], song(other)[0])


def test_a_batch_equals_its_songs_alone(net):
    together = make(net, [7, 8, 9])
    for number, seed in enumerate([7, 8, 9]):
        tokens, latents = song(make(net, [seed]))
        assert torch.equal(song(together, number)[0], tokens)
        torch.testing.assert_close(song(together, number)[1], latents, atol=1e-4, rtol=1e-4)


def test_resumed_equals_whole(net):
    whole = make(net, [7])
    tokens, latents = song(whole[:2])
    rest = make(net, [7], prior_tokens=tokens[None], prior_latents=latents[None])
    assert [p.block for p in rest] == [2, 3, 4]
    assert torch.equal(song(rest)[0], song(whole[2:])[0])
    torch.testing.assert_close(song(rest)[1], song(whole[2:])[1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("blocks", [1, 3])
def test_length_limit(net, blocks):
    assert len(make(net, [1], replace(SETTINGS, max_frames=blocks * BLOCK))) == blocks


def test_a_song_that_ends_leaves_the_others(net):
    """EOS is likely here, so songs end at different blocks; each keeps exactly what it has alone."""
    eos = net.config.eos
    with torch.no_grad():
        net.classifier[2].bias[eos] = 0.5
    try:
        seeds = list(range(6))
        together = make(net, seeds)
        lengths = [sum(p.song == n for p in together) for n in range(len(seeds))]
        assert len(set(lengths)) > 1 and min(lengths) < 5
        assert lengths == [len(make(net, [seed])) for seed in seeds]
        assert all((p.tokens != eos).all() for p in together)
    finally:
        with torch.no_grad():
            net.classifier[2].bias[eos] = -20.0


def test_without_guidance_the_null_rows_are_not_computed(net):
    settings = replace(SETTINGS, lm_cfg=1.0, refiner_cfg=1.0)
    plain = make(net, [3], settings)
    almost = make(net, [3], replace(SETTINGS, lm_cfg=1.0, refiner_cfg=1.0 + 1e-6))
    torch.testing.assert_close(song(plain)[1], song(almost)[1], atol=1e-3, rtol=1e-3)
    style = torch.zeros(6, 5)
    with torch.no_grad():
        prefixes = net.guidance_prefixes(style, LYRICS)[:, None]
    assert len(start(net, prefixes, settings).next_input) == 1
    assert len(start(net, prefixes, SETTINGS).next_input) == 2


@pytest.mark.parametrize("guidance", ["h", "global", "none"])
def test_guidance_kinds_differ(net, guidance):
    base = make(net, [3])
    out = make(net, [3], replace(SETTINGS, guidance=guidance))
    assert torch.equal(song(base)[1], song(out)[1]) == (guidance == "h")
