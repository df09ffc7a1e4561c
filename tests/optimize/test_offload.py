"""Parts that take turns in one stretch of memory make the same songs. Here the stretch is of main memory too."""

from __future__ import annotations

import threading
from unittest import mock

import pytest
import torch

import songbloom
from songbloom.benchmark.models import random_config
from songbloom.errors import InvalidInput
from songbloom.memory import Profile, choices, needs
from songbloom.optimize.levels import record
from songbloom.optimize.offload import Turns, take_turns
from songbloom.quantize.network import weight_bytes

CPU = torch.device("cpu")


@pytest.fixture
def apart(tiny_folder):
    model = songbloom.load(str(tiny_folder), device="cpu")
    model.turns = take_turns(model.net, model.vae, CPU)
    return model


def test_a_song_is_the_same(tiny, apart, request_for):
    apart.turns.watch()
    made, wanted = apart.generate(request_for()), tiny.generate(request_for())
    assert made.tokens.tolist() == wanted.tokens.tolist()
    torch.testing.assert_close(torch.from_numpy(made.audio), torch.from_numpy(wanted.audio), atol=1e-5, rtol=0)


def test_recorded_steps_find_their_weights_where_they_were(tiny, apart, request_for):
    record(apart.net, lambda step: step)
    apart.turns.watch()
    assert apart.generate(request_for()).tokens.tolist() == tiny.generate(request_for()).tokens.tolist()


def test_the_device_holds_no_more_than_the_largest_part(tiny, apart):
    parts = (tiny.net.lm, tiny.net.refiner, tiny.vae)
    stretches = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for part in
                 (apart.net.lm, apart.net.refiner, apart.vae) for x in part.parameters()}  # fmt: skip
    assert len(stretches) == 1
    largest, tensors = max(map(weight_bytes, parts)), max(len(list(part.state_dict())) for part in parts)
    assert largest <= next(iter(stretches.values())) <= largest + 256 * tensors


def test_a_part_that_has_no_turn_is_overwritten(tiny, apart):
    """So nothing but its turn explains that songs are right."""
    apart.turns.watch()
    with torch.no_grad():
        apart.net.lm(torch.zeros(1, 1, apart.net.config.dim))
        assert torch.equal(apart.net.lm.norm.weight, tiny.net.lm.norm.weight)
        apart.vae.decode(torch.zeros(1, apart.config.net.latent_dim, 2))
    assert not torch.equal(apart.net.lm.layers[0].attn.qkv.weight, tiny.net.lm.layers[0].attn.qkv.weight)


def test_parts_that_are_called_at_once_wait_for_each_other():
    parts = {"lm": torch.nn.Linear(64, 64), "refiner": torch.nn.Linear(64, 64)}
    for value, part in enumerate(parts.values(), 1):
        torch.nn.init.constant_(part.weight, value)
        torch.nn.init.zeros_(part.bias)
        part.prepare = part.forward
    turns, wrong = Turns(parts, CPU), []
    turns.watch()

    def call(name: str, value: int) -> None:
        with torch.no_grad():
            for _ in range(300):
                if parts[name](torch.ones(1, 64)).unique().tolist() != [64 * value]:
                    wrong.append(name)

    threads = [threading.Thread(target=call, args=(name, value)) for value, name in enumerate(parts, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_copy_that_is_interrupted_is_made_again(monkeypatch):
    parts = {name: torch.nn.Linear(8, 8) for name in ("lm", "refiner")}
    wanted = {name: part.weight.detach().clone() for name, part in parts.items()}
    parts["refiner"].prepare = parts["refiner"].forward
    turns = Turns(parts, CPU)
    turns.watch()
    with torch.no_grad():
        parts["lm"](torch.ones(1, 8))
        with monkeypatch.context() as interrupted:
            interrupted.setattr(torch.Tensor, "copy_", mock.Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                parts["refiner"](torch.ones(1, 8))
        turns._stretch.zero_()  # whatever was copied by then
        parts["lm"](torch.ones(1, 8))
    assert torch.equal(parts["lm"].weight, wanted["lm"])


def test_a_part_larger_than_a_piece_is_whole(monkeypatch):
    monkeypatch.setattr("songbloom.optimize.offload.PIECE", 100)
    part = torch.nn.Linear(8, 8)
    wanted = {name: x.clone() for name, x in part.state_dict().items()}
    Turns({"lm": part}, CPU).watch()
    with torch.no_grad():
        part(torch.ones(1, 8))
    assert all(torch.equal(part.state_dict()[name], x) for name, x in wanted.items())


def test_what_it_saves_is_reckoned():
    full = random_config("full")
    whole, less = (needs(full, Profile(torch.bfloat16, offload=offload), seconds=30) for offload in (False, True))
    assert less.weights == whole.weights and less.waiting > 1.5e9 and less.total < whole.total - 1.5e9


def test_profile_auto_takes_turns_where_nothing_else_fits(monkeypatch):
    monkeypatch.setattr("songbloom.memory.check", lambda *_: None)
    chosen = {"dtype": torch.bfloat16, "quantization": "none", "eight_bit_cache": False}
    on_cuda = list(choices(torch.device("cuda"), **chosen, offload=False))
    assert [p.offload for p in on_cuda] == [False] * 6 + [True] * 6
    assert not any(p.offload for p in choices(CPU, **chosen, offload=False))
    assert all(p.offload for p in choices(torch.device("cuda"), **chosen, offload=True))


def test_it_is_for_cuda(tiny_folder):
    with pytest.raises(InvalidInput, match="offload=True: is for CUDA devices"):
        songbloom.load(str(tiny_folder), device="cpu", offload=True)
