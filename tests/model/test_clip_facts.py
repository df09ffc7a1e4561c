"""Facts of a clip: what is measured, what is read, what of it reaches the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from songbloom.corpus.facts import COUNTS, clip_sound, facts_of, tempo_number
from songbloom.corpus.score import BandCard
from songbloom.corpus.timing import on_grid
from songbloom.model.clip_facts import ClipFacts
from songbloom.model.network import SongBloomNet
from songbloom.train.mini import net_config

RATE = 48000


def clicks_and_chord(bpm: float, notes: list[int]) -> np.ndarray:
    time = np.arange(10 * RATE) / RATE
    since_beat = time % (60 / bpm)
    beat = np.where((time // (60 / bpm)) % 2 == 0, 1.0, 0.6) * np.exp(-since_beat * 60) * np.sin(7000 * time)
    tones = sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time) for note in notes)
    return (0.3 * beat + 0.05 * tones).astype(np.float32)[None]


def test_facts_of_a_card_count_from_zero():
    card = BandCard("folk", "low", 70.0, 9, "minor", 5.0, 0.1, 0.0, 0.0, 1)
    assert facts_of(card) == (10, 21, 3, 1)
    assert facts_of(replace(card, bpm=on_grid(140), key=0, mode="major"))[:2] == (0, 0)
    assert {tempo_number(bpm) for bpm in np.arange(40, 200, 0.5)} == set(range(COUNTS[0]))


def test_tempo_and_pitch_classes_are_measured():
    sound = clip_sound(clicks_and_chord(on_grid(100), [60, 64, 67]), RATE)
    assert sound.tempo == tempo_number(on_grid(100))
    assert torch.allclose(sound.chroma.sum(1), torch.ones(4), atol=1e-4)
    assert set(sound.chroma[2].topk(3).indices.tolist()) == {0, 4, 7}


def test_a_key_is_read_the_same_from_every_tonic():
    torch.manual_seed(0)
    facts = ClipFacts(COUNTS, latent_dim=6, dim=8)
    chroma, clip = torch.rand(1, 4, 12), torch.randn(1, 6, 20)
    statistics = facts.statistics(clip)
    key = facts.logits(statistics, facts.turned(chroma))[0].unflatten(1, (2, 12))
    turned = facts.logits(statistics, facts.turned(chroma.roll(5, -1)))[0].unflatten(1, (2, 12))
    assert torch.allclose(turned, key.roll(5, -1), atol=1e-6)


def test_facts_reach_prefix_and_refiner():
    torch.manual_seed(0)
    config = replace(net_config(), dim=64, num_heads=2, lm_layers=1, diff_layers=1, latent_dim=6, predictor=16)
    net = SongBloomNet(config).eval()
    style, facts, other = torch.randn(6, 40), torch.tensor([1, 2, 3, 0]), torch.tensor([1, 2, 4, 0])
    with torch.no_grad():
        prefixes = [net.prefix(style, "[verse] K", f) for f in (facts, other, None)]
        assert [len(p) for p in prefixes] == [43, 43, 43]
        differs = [(prefixes[0] != p).any(1).nonzero().flatten().tolist() for p in prefixes[1:]]
        assert differs == [[40], [40]], "one position tells it"
        assert not prefixes[2][40].any()
        assert not torch.equal(net.timbre(style, facts), net.timbre(style, other))
        assert net.facts is not None
        read = net.facts.read(style, clip_sound(clicks_and_chord(90, [57, 60, 64]), RATE))
    assert read.shape == (4,) and all(0 <= int(f) < n for f, n in zip(read, COUNTS, strict=True))
