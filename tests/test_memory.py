"""What fits into which memory, and what is said where nothing does."""

from __future__ import annotations

import pytest
import torch

import songbloom
from songbloom import memory
from songbloom.benchmark.models import random_config
from songbloom.checkpoints.load import load_folder, read_config, save_native
from songbloom.errors import InvalidInput, OutOfMemory
from songbloom.memory import Profile, fitting, needs

CPU = torch.device("cpu")
GB = 10**9


@pytest.fixture(scope="module")
def full():
    return random_config("full")


@pytest.mark.parametrize(
    ("profile", "least", "most"),
    [
        (Profile(torch.float32), 8, 12),
        (Profile(torch.bfloat16), 4, 7),
        (Profile(torch.bfloat16, "int8"), 2, 5),
        (Profile(torch.bfloat16, "int4"), 1, 4),
    ],
)
def test_weights_of_the_guides_table_and_what_half_a_minute_of_song_adds(full, profile, least, most):
    assert least * GB < needs(full, profile, seconds=30).total < most * GB


def test_the_parts_of_what_is_needed(full):
    plain, small = (needs(full, Profile(torch.bfloat16, kind), seconds=30) for kind in ("none", "int8"))
    assert 3.6 * GB < plain.weights < 4 * GB and 1.8 * GB < small.weights < 2.1 * GB  # 1.87 B parameters
    assert plain.autoencoder == small.autoencoder and plain.cache == small.cache
    assert plain.total > plain.weights + plain.autoencoder + plain.cache


def test_what_makes_it_smaller(full):
    whole = needs(full, Profile(torch.bfloat16), seconds=150).total
    assert needs(full, Profile(torch.bfloat16, eight_bit_cache=True), seconds=150).total < whole - 0.9 * GB
    assert needs(full, Profile(torch.bfloat16), seconds=30).total < whole - 1.5 * GB
    assert needs(full, Profile(torch.bfloat16), seconds=150, songs=2).total > whole + 2 * GB


def test_the_best_that_fits(full):
    assert fitting(full, CPU, free=64 * GB) == Profile(torch.float32)
    assert fitting(full, CPU, free=None) == Profile(torch.float32)
    small = fitting(full, CPU, free=6 * GB)
    assert small.quantization == "int8"
    assert needs(full, small, seconds=full.max_duration_s).total <= 6 * GB
    with pytest.raises(OutOfMemory, match=r"needs \d\.\d GB for 150 s of song, and 0\.5 GB of cpu are free"):
        fitting(full, CPU, free=GB // 2)


def test_profile_auto_loads_what_fits(tiny_folder, monkeypatch, request_for):
    asked = Profile(torch.float32, "int8", eight_bit_cache=True)
    monkeypatch.setattr("songbloom.pipeline.fitting", lambda *_, **__: asked)
    model = songbloom.load(str(tiny_folder), device="cpu", profile="auto")
    assert (model.config.quantization, model.eight_bit_cache) == ("int8", True)
    assert model.generate(request_for()).seconds > 1
    with pytest.raises(InvalidInput, match="profile='best'"):
        songbloom.load(str(tiny_folder), profile="best")


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_is_explained_and_the_model_goes_on(tiny_folder, request_for, monkeypatch, failure):
    model = songbloom.load(str(tiny_folder), device="cpu")
    expected = model.generate(request_for()).audio

    def fail(*_):
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(model.net.lm, "forward", fail)
        with pytest.raises(OutOfMemory, match=r"need about \d+\.\d GB in all.* free; make it smaller with --quant"):
            model.generate(request_for())
    assert (model.generate(request_for()).audio == expected).all()


def test_other_failures_are_not_taken_for_it(tiny_folder, request_for, monkeypatch):
    model = songbloom.load(str(tiny_folder), device="cpu")
    monkeypatch.setattr(model.net.lm, "forward", lambda *_: [][0])
    with pytest.raises(IndexError):
        model.generate(request_for())


def test_what_is_free():
    free = memory.free_bytes(CPU)
    assert free is None or free > 10**8


@pytest.mark.parametrize("failure", [NotImplementedError("no such operator on mps"), RuntimeError("a bug")])
def test_what_is_no_lack_of_memory_is_not_called_so(tiny_folder, request_for, monkeypatch, failure):
    model = songbloom.load(str(tiny_folder), device="cpu")

    def fail(*_):
        raise failure

    monkeypatch.setattr(model.net.lm, "forward", fail)
    with pytest.raises(type(failure), match=str(failure)):
        model.generate(request_for())


@pytest.mark.parametrize(
    "where", ["songbloom.pipeline.load_folder", "songbloom.pipeline.encode_style", "songbloom.pipeline.decode_chunked"]
)
def test_it_is_explained_for_loading_the_clip_and_the_sound_too(tiny_folder, request_for, monkeypatch, where):
    def fail(*_, **__):
        raise RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")

    monkeypatch.setattr(where, fail)
    with pytest.raises(OutOfMemory, match=r"need about \d+\.\d GB in all.*make it smaller"):
        songbloom.load(str(tiny_folder), device="cpu").generate(request_for())


def test_what_is_chosen_already_stays(full):
    room = needs(full, Profile(torch.bfloat16), seconds=full.max_duration_s).total
    assert fitting(full, CPU, free=room, dtype=torch.bfloat16) == Profile(torch.bfloat16)
    assert fitting(full, CPU, free=room, dtype=torch.float32).quantization == "int8"
    assert fitting(full, CPU, free=64 * GB, quantization="int8", eight_bit_cache=True) == Profile(
        torch.float32, "int8", eight_bit_cache=True
    )


def test_weights_that_lie_in_8_bits_are_reckoned_so(tiny_folder, tmp_path, monkeypatch):
    folder = tmp_path / "small"
    save_native(folder, load_folder(tiny_folder, quantization="int8"))
    config = read_config(folder)
    room = needs(config, Profile(torch.float32, "int8"), seconds=config.max_duration_s).total
    monkeypatch.setattr("songbloom.pipeline.free_bytes", lambda _: room)
    model = songbloom.load(str(folder), device="cpu", profile="auto")
    assert model.profile == Profile(torch.float32, "int8")
