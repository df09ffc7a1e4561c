"""The block loop on a tiny random network: batches, resuming, stopping."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from songbloom.generate import patches as patches_module
from songbloom.generate.noise import SongNoise
from songbloom.generate.patches import ComposeSettings, Patch, SongTask, compose, read_prefixes, start
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


def make(net: SongBloomNet, seeds: list[int], settings: ComposeSettings = SETTINGS, **prior: Any) -> list[Patch]:
    style = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        prefix = net.prefix(style, LYRICS)
    return list(compose(net, start(net, [SongTask(prefix, SongNoise(seed), settings) for seed in seeds], **prior)))


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
    rest = make(net, [7], prior=(tokens[None], latents[None]))
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
        prefix = net.prefix(style, LYRICS)
    assert len(start(net, [SongTask(prefix, SongNoise(3), settings)]).next_input) == 1
    assert len(start(net, [SongTask(prefix, SongNoise(3), SETTINGS)]).next_input) == 2


@pytest.mark.parametrize("guidance", ["h", "global", "none"])
def test_guidance_kinds_differ(net, guidance):
    base = make(net, [3])
    out = make(net, [3], replace(SETTINGS, guidance=guidance))
    assert torch.equal(song(base)[1], song(out)[1]) == (guidance == "h")


def tasks_of_all_kinds(net: SongBloomNet) -> list[SongTask]:
    """Requests that differ in everything: clip, lyrics, length, seed, sampling, steps, guidance."""
    generator = torch.Generator().manual_seed(5)
    kinds = [
        (5, LYRICS, {}),
        (3, "[verse] B .", {"steps": 5, "max_frames": 3 * BLOCK}),
        (8, "[outro]", {"sampling": TokenSampling(temperature=0.5, penalty_repeat=False), "refiner_cfg": 2.0}),
        (5, LYRICS, {"guidance": "global", "lm_cfg": 2.5}),
        (6, LYRICS, {"guidance": "none", "lm_cfg": 1.0, "diffusion_temperature": 0.9}),
    ]
    with torch.no_grad():
        return [
            SongTask(
                net.prefix(torch.randn(6, frames, generator=generator), lyrics),
                SongNoise(seed),
                replace(SETTINGS, **change),
                torch.randn(64, generator=generator) * 0.1,
            )
            for seed, (frames, lyrics, change) in enumerate(kinds)
        ]


def test_different_requests_in_one_batch_are_the_songs_made_alone(net):
    tasks = tasks_of_all_kinds(net)
    together = list(compose(net, start(net, tasks)))
    for number, task in enumerate(tasks):
        alone = list(compose(net, start(net, [task])))
        tokens, latents = song(together, number)
        assert len(alone) == sum(p.song == number for p in together)
        assert torch.equal(song(alone)[0], tokens)
        torch.testing.assert_close(song(alone)[1], latents, atol=2e-4, rtol=2e-4)


def test_songs_of_one_prefix_share_its_reading(net, monkeypatch):
    read = []
    monkeypatch.setattr(patches_module, "read_prefixes", lambda net, p: read.append(len(p)) or read_prefixes(net, p))
    make(net, [1, 2, 3])
    assert read == [1]


def test_padding_is_never_read(net):
    with torch.no_grad():
        short, long = torch.randn(4, 64), torch.randn(9, 64)
        alone, padded = read_prefixes(net, [short]), read_prefixes(net, [short, long])
    for layer in range(2):
        values = padded.v.data[layer, 0, :, 5:9]
        torch.testing.assert_close(values, alone.v.data[layer, 0, :, :4], atol=1e-5, rtol=1e-5)
    assert (padded.position, alone.position) == (9, 4)


def test_the_window_slides_and_memory_stays(net):
    settings = replace(SETTINGS, max_frames=30 * BLOCK)
    style = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        task = SongTask(net.prefix(style, LYRICS), SongNoise(1), settings)
    state = start(net, [task], window_frames=8 * BLOCK)
    size, blocks = state.cache.bytes, []
    for patch in compose(net, state):
        blocks.append(patch)
        assert state.cache.position <= state.cache.capacity and torch.isfinite(patch.latents).all()
    assert len(blocks) == 30 and state.cache.bytes == size
    whole = list(compose(net, start(net, [task])))
    assert torch.equal(song(blocks[:7])[0], song(whole[:7])[0])  # before anything was forgotten


@pytest.mark.parametrize("cut", [1, 6, 7, 8, 9, 13, 20])
def test_a_song_longer_than_the_window_goes_on_as_if_it_had_not_stopped(net, cut):
    settings = replace(SETTINGS, max_frames=24 * BLOCK)
    whole = make(net, [3], settings, window_frames=8 * BLOCK)
    prior = torch.cat([p.tokens for p in whole[:cut]])[None], torch.cat([p.latents for p in whole[:cut]], dim=1)[None]
    rest = make(net, [3], settings, window_frames=8 * BLOCK, prior=prior)
    assert [p.block for p in rest] == list(range(cut, 24))
    tokens, latents = song(whole)
    assert torch.equal(song(rest)[0], tokens[cut * BLOCK :])
    torch.testing.assert_close(song(rest)[1], latents[:, cut * BLOCK :], atol=1e-4, rtol=0)


def test_forgetting_the_oldest_leaves_what_a_song_without_them_would_know(net):
    """Values of the first layer depend on one position alone, and scores on distances alone."""
    x = torch.randn(1, 12, 64)
    kept = torch.cat([x[:, :3], x[:, 7:]], dim=1)
    with torch.no_grad():
        cache, other = net.new_cache(1, 20), net.new_cache(1, 20)
        net.lm(x, cache)
        cache.drop(3, 4, net.config.rotary_base)
        net.lm(kept, other)
    assert cache.position == other.position == 8
    for store, wanted in ((cache.k, other.k), (cache.v, other.v)):
        torch.testing.assert_close(store.data[0, :, :, :8], wanted.data[0, :, :, :8], atol=1e-5, rtol=1e-5)


def test_an_eight_bit_cache_is_smaller_and_near(net):
    style = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        task = SongTask(
            net.prefix(style, LYRICS), SongNoise(1), replace(SETTINGS, sampling=TokenSampling(temperature=0))
        )
    whole, small = start(net, [task]), start(net, [task], eight_bit_cache=True)
    assert small.cache.bytes < 0.3 * whole.cache.bytes  # of float32
    with torch.no_grad():
        exact, near = (net.lm(state.next_input, state.cache) for state in (whole, small))
    assert 0 < (exact - near).norm() / exact.norm() < 0.02


def test_guidance_in_an_interval_is_between_none_and_all(net):
    everywhere, nowhere = make(net, [3]), make(net, [3], replace(SETTINGS, guidance="none"))
    assert torch.equal(song(make(net, [3], replace(SETTINGS, guidance_to=0.0)))[1], song(everywhere)[1])
    late = song(make(net, [3], replace(SETTINGS, guidance_from=0.5)))[1]
    assert not torch.equal(late, song(everywhere)[1]) and not torch.equal(late, song(nowhere)[1])
    never = song(make(net, [3], replace(SETTINGS, guidance_from=0.01, guidance_to=0.0)))[1]
    torch.testing.assert_close(never, song(nowhere)[1])
