"""Songs are made on a device that is not the CPU, and the CPU waits for it no more than it has to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

import songbloom
from songbloom.generate.patches import Patch
from songbloom.optimize.levels import record
from songbloom.pipeline import SongBloom
from tests.other_device import THERE, move, other_device


@pytest.fixture
def near(tiny_folder) -> SongBloom:
    return songbloom.load(str(tiny_folder), device="cpu")


@pytest.fixture
def far(tiny_folder) -> SongBloom:
    model = songbloom.load(str(tiny_folder), device="cpu")
    move(model.net)
    move(model.vae)
    assert model.net.device == THERE
    return model


def same(made: Sequence[Patch], wanted: Sequence[Patch], atol: float = 1e-3) -> None:
    """Attention is computed otherwise on a device without a kernel for it."""
    assert [(p.song, p.block) for p in made] == [(p.song, p.block) for p in wanted]
    for patch, other in zip(made, wanted, strict=True):
        assert torch.equal(patch.tokens, other.tokens)
        torch.testing.assert_close(patch.latents, other.latents, atol=atol, rtol=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"guidance": "global", "solver": "midpoint"},
        {"guidance": "none", "top_p": 0.9, "min_p": 0.01},
        {"guidance_from": 0.9, "guidance_to": 0.2, "solver": "adams"},
        {"cfg_coef": 1.0, "temperature": 0.0},
    ],
    ids=str,
)
def test_settings(near, far, request_for, monkeypatch, settings):
    prepared = far.prepare(request_for(**settings))
    with other_device(monkeypatch):
        made = list(far.patches(prepared))
    same(made, list(near.patches(prepared)))


def test_a_cache_of_8_bits(near, far, request_for, monkeypatch):
    near.eight_bit_cache = far.eight_bit_cache = True
    prepared = far.prepare(request_for())
    with other_device(monkeypatch):
        made = list(far.patches(prepared))
    same(made, list(near.patches(prepared)), atol=0.03)  # what is rounded the other way is a 127th away


def test_a_whole_song(near, far, request_for, monkeypatch):
    with other_device(monkeypatch):
        made = far.generate(request_for())
    wanted = near.generate(request_for())
    torch.testing.assert_close(torch.from_numpy(made.audio), torch.from_numpy(wanted.audio), atol=1e-3, rtol=0)


def test_a_block_waits_for_the_device_three_times(far, request_for, monkeypatch):
    """To see whether the song has ended, and to hand out tokens and latents."""
    prepared = far.prepare(request_for(max_duration=2.0, guidance="h"))
    with other_device(monkeypatch) as waits:
        patches = far.patches(prepared)
        next(patches)  # with the reading of the prefix
        waits.clear()
        blocks = sum(1 for _ in patches)
    assert blocks == 3
    assert waits == {"tolist": blocks, "copied to the CPU": 2 * blocks}


def test_a_batch_of_all_kinds(near, far, request_for, monkeypatch):
    requests = [
        request_for(max_duration=0.7, seed=1),
        request_for("[verse]\nA much longer line is sung here", max_duration=2.0, seed=2, top_k=5, guidance="global"),
        request_for(max_duration=1.4, seed=3, cfg_coef=2.0),
    ]
    prepared = [far.prepare(r) for r in requests]
    with other_device(monkeypatch):
        made = list(far.compose([task for p in prepared for task in far.tasks(p, [p.settings.seed])]))
    same(made, list(near.compose([task for p in prepared for task in near.tasks(p, [p.settings.seed])])))


def test_a_resumed_song_longer_than_the_window(near, far, request_for, monkeypatch):
    prepared = near.prepare(request_for(max_duration=24.0))  # the model remembers 20 s
    wanted = list(near.patches(prepared))
    with other_device(monkeypatch):
        made = list(far.patches(prepared, prior=wanted[:-2]))
    same(made, wanted[-2:])


def test_the_bundled_model(request_for, monkeypatch):
    near, far = songbloom.load(device="cpu"), songbloom.load(device="cpu")
    prepared = far.prepare(request_for("[verse]\nThe river runs.", steps=4, max_duration=2.0, guidance="h"))
    move(far.net)
    move(far.vae)
    with other_device(monkeypatch):
        made = list(far.patches(prepared))
    same(made, list(near.patches(prepared)))


def test_recorded_steps(near, far, request_for, monkeypatch):
    record(far.net, lambda step: step)
    prepared = far.prepare(request_for(max_duration=2.0))
    with other_device(monkeypatch) as waits:
        patches = far.patches(prepared)
        made = [next(patches)]  # what is recorded is looked at once
        waits.clear()
        made += patches
    later = len(made) - 1
    assert later >= 2 and waits == {"tolist": later, "copied to the CPU": 2 * later}
    same(made, list(near.patches(prepared)))


def test_what_is_left_behind_is_found(far, request_for, monkeypatch):
    """The other device is worth its name."""
    prepared = far.prepare(request_for())
    far.net.refiner.timestep.frequencies = far.net.refiner.timestep.frequencies.inner
    with other_device(monkeypatch), pytest.raises(RuntimeError, match="left on the CPU"):
        list(far.patches(prepared))
