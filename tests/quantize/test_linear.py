"""One quantized layer against the full one."""

from __future__ import annotations

import sys

import pytest
import torch
from torch.nn import functional as F

from songbloom.errors import NotAvailable
from songbloom.quantize import linear
from songbloom.quantize.linear import KINDS, Int4Linear, Int8Linear

SHAPE = (192, 128)  # out, in


def built(kind: str, weight: torch.Tensor, dtype: torch.dtype = torch.float32):
    if kind == "int4":
        pytest.importorskip("bitsandbytes")
    layer = KINDS[kind](weight.shape[1], weight.shape[0])
    layer.load_state_dict(layer.encode(weight), assign=True)
    layer.ready(dtype)
    return layer


@pytest.fixture
def weight():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) * 0.05


@pytest.fixture
def x():
    return torch.randn(3, 5, SHAPE[1], generator=torch.Generator().manual_seed(1))


def miss(y: torch.Tensor, reference: torch.Tensor) -> float:
    return float((y.float() - reference).norm() / reference.norm())


@pytest.mark.parametrize(("kind", "most"), [("int8", 0.013), ("int4", 0.12)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_near_the_full_layer(kind, most, dtype, weight, x):
    y = built(kind, weight, dtype)(x.to(dtype))
    assert (y.dtype, y.shape) == (dtype, (3, 5, SHAPE[0]))
    assert miss(y, F.linear(x, weight)) < most


@pytest.mark.parametrize(("kind", "bits"), [("int8", 8.25), ("int4", 4.5)])
def test_bits_of_a_weight(kind, bits, weight):
    state = built(kind, weight).state_dict()
    assert state["weight"].dtype == {"int8": torch.int8, "int4": torch.uint8}[kind]
    assert 8 * sum(t.numel() * t.element_size() for t in state.values()) / weight.numel() == bits


def test_the_repacked_weights_replace_the_plain_ones(weight):
    layer = built("int8", weight)
    if layer.packed is None:
        pytest.skip("this processor computes with the plain weights")
    assert layer.weight.numel() == 0
    assert torch.equal(layer.state_dict()["weight"], Int8Linear.encode(weight)["weight"])


@pytest.mark.parametrize("kind", KINDS)
def test_state_makes_the_same_layer(kind, weight, x):
    layer = built(kind, weight)
    other = KINDS[kind](*reversed(SHAPE))
    other.load_state_dict(layer.state_dict(), assign=True)
    other.ready(torch.float32)
    assert torch.equal(other(x), layer(x))


def test_a_row_does_not_depend_on_its_neighbours(weight, x):
    layer = built("int8", weight)
    loud = torch.cat([x[0], 100 * x[1]])
    assert torch.equal(layer(loud)[:5], layer(x[0]))


def test_without_the_repacked_weights(weight, x, monkeypatch):
    repacked = built("int8", weight)(x)
    monkeypatch.setattr(Int8Linear, "ready", lambda *_: None)
    plain = built("int8", weight)
    assert plain.packed is None
    assert miss(plain(x), repacked) < 5e-3
    assert plain(torch.zeros(1, SHAPE[1])).abs().max() == 0


def test_processors_without_the_wide_sums_take_inputs_of_seven_bits(weight, x, monkeypatch):
    monkeypatch.setattr(linear, "_levels", lambda: 63)
    assert miss(built("int8", weight)(x), F.linear(x, weight)) < 0.02


def test_int4_without_its_library_says_how_to_get_it(monkeypatch):
    linear.bitsandbytes.cache_clear()
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(NotAvailable, match=r"pip install 'songbloom\[int4\]'"):
        Int4Linear.encode(torch.zeros(64, 64))
