"""Whole models with quantized weights: loaded, saved, sung with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import songbloom
from songbloom.checkpoints.load import load_folder, read_config, save_native
from songbloom.errors import CheckpointError, InvalidInput, NotAvailable
from songbloom.quantize.linear import QuantizedLinear
from songbloom.quantize.network import check, weight_bytes
from tests.conftest import GOLDENS

KINDS = ("int8", "int4")


@pytest.fixture(params=KINDS)
def kind(request):
    if request.param == "int4":
        pytest.importorskip("bitsandbytes")
    return request.param


@pytest.fixture(scope="module")
def full():
    return load_folder(GOLDENS)


def quantized_names(net) -> set[str]:
    return {name for name, layer in net.named_modules() if isinstance(layer, QuantizedLinear)}


def test_the_layers_of_both_transformers_and_nothing_else(full, kind):
    names = quantized_names(load_folder(GOLDENS, quantization=kind).net)
    every = {name for name, layer in full.net.named_modules() if isinstance(layer, torch.nn.Linear)}
    assert names == {name for name in every if name.startswith(("lm.layers.", "refiner.layers."))}
    assert {name.rsplit(".", 1)[-1] for name in names} == {"qkv", "out", "gate_up", "down"}


@pytest.mark.parametrize(("kind", "most"), [("int8", 0.05), ("int4", 0.4)], indirect=["kind"])
def test_near_the_full_model(full, kind, most):
    model = load_folder(GOLDENS, quantization=kind)
    x = torch.randn(2, 30, full.config.net.dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        reference, ours = full.net.lm(x), model.net.lm(x)
        assert (ours - reference).norm() / reference.norm() < most
    layers = quantized_names(model.net)
    share = {"int8": 0.27, "int4": 0.15}[kind]
    before, after = (
        sum(t.numel() * t.element_size() for n, t in net.state_dict().items() if n.rpartition(".")[0] in layers)
        for net in (full.net, model.net)
    )
    assert after < share * before
    assert weight_bytes(full.net) - weight_bytes(model.net) == before - after


def test_saved_and_loaded_without_the_full_one(tmp_path, kind, request_for):
    folder = tmp_path / "small"
    model = songbloom.load(str(GOLDENS), quantization=kind, device="cpu")
    save_native(folder, songbloom.checkpoints.load.LoadedModel(model.config, model.net, model.vae))
    assert read_config(folder).quantization == kind
    again = songbloom.load(str(folder), device="cpu")
    assert quantized_names(again.net) == quantized_names(model.net)
    made, remade = (m.generate(request_for()).audio for m in (model, again))
    assert (made == remade).all()
    other = KINDS[1 - KINDS.index(kind)]
    with pytest.raises((InvalidInput, NotAvailable), match=other):
        load_folder(folder, quantization=other)


def test_batched_as_alone(request_for):
    model = songbloom.load(str(GOLDENS), quantization="int8", device="cpu")
    requests = [request_for(seed=seed) for seed in (1, 2)]
    together = model.generate_batch([model.prepare(r) for r in requests], 1)
    for request, (song,) in zip(requests, together, strict=True):
        alone = model.generate(request)
        assert song.audio.shape == alone.audio.shape
        assert abs(song.audio - alone.audio).max() < 1e-3


def test_what_cannot_be_had_is_said():
    with pytest.raises(InvalidInput, match="quantization='int2'"):
        check("int2", torch.device("cpu"))
    with pytest.raises(NotAvailable, match="not on mps"):
        check("int8", torch.device("mps"))


def test_a_configuration_that_lies(tmp_path, full):
    save_native(tmp_path, replace(full, config=replace(full.config, quantization="int8")))
    with pytest.raises(CheckpointError, match="scale"):
        load_folder(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization": "int3"}))
    with pytest.raises(InvalidInput, match="int3"):
        load_folder(tmp_path)
