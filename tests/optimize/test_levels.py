"""Levels, and what becomes of a compiler that fails."""

from __future__ import annotations

import logging

import pytest
import torch

import songbloom
from songbloom.errors import InvalidInput
from songbloom.optimize.levels import MANY_ROWS, Compiled, optimize


def test_minimal_and_standard_are_equal(tiny_folder, request_for):
    made = [
        songbloom.load(str(tiny_folder), device="cpu", optimization_level=level).generate(request_for()).audio
        for level in ("minimal", "standard")
    ]
    assert abs(made[0] - made[1]).max() < 1e-5


def test_a_cpu_without_bfloat16_multiplies_in_float32(tiny_folder, monkeypatch):
    """No further from the exact result than bfloat16 products are; weights stay as they are kept."""
    monkeypatch.setattr("songbloom.optimize.levels._has_bfloat16", lambda: False)
    exact, plain, wide = (
        songbloom.load(str(tiny_folder), device="cpu", dtype=dtype, optimization_level=level).net
        for dtype, level in (("float32", "minimal"), ("bfloat16", "minimal"), ("bfloat16", "standard"))
    )
    x = torch.randn(2, 3 * MANY_ROWS, exact.config.dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        true, rounded, ours = (net.lm(x.to(net.dtype)).float() for net in (exact, plain, wide))
    assert (ours - true).norm() < 1.1 * (rounded - true).norm()
    assert not torch.equal(ours, rounded), "computed otherwise"
    assert {weight.dtype for weight in wide.parameters()} == {torch.bfloat16}


def test_a_compiler_that_fails_is_told_of_once(monkeypatch, caplog):
    def broken(function):
        def run(*_):
            raise torch._dynamo.exc.BackendCompilerFailed(function, RuntimeError("no compiler"), None)

        return run

    monkeypatch.setattr(torch, "compile", broken)
    double = Compiled(lambda x: 2 * x)
    with caplog.at_level(logging.WARNING):
        assert [double(1), double(2)] == [2, 4]
    assert len(caplog.records) == 1
    assert "going on without it" in caplog.text


def test_aggressive_compiles_and_sings(tiny_folder, request_for, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    model = songbloom.load(str(tiny_folder), device="cpu", optimization_level="aggressive")
    assert len(compiled) == 1
    assert model.generate(request_for()).seconds > 1
    songbloom.load(str(tiny_folder), device="cpu", optimization_level="aggressive", quantization="int8")
    assert len(compiled) == 1  # not what is quantized


def test_flash_attention_is_switched_by_the_guides_variable(tiny, monkeypatch):
    before = torch.backends.cuda.flash_sdp_enabled()
    try:
        monkeypatch.setenv("DISABLE_FLASH_ATTN", "1")
        assert "off" in optimize(tiny.net, "standard")[0]
        assert not torch.backends.cuda.flash_sdp_enabled()
        monkeypatch.setenv("DISABLE_FLASH_ATTN", "0")
        optimize(tiny.net, "standard")
        assert torch.backends.cuda.flash_sdp_enabled()
        monkeypatch.setenv("DISABLE_FLASH_ATTN", "yes")
        with pytest.raises(InvalidInput, match="DISABLE_FLASH_ATTN='yes'"):
            optimize(tiny.net, "standard")
    finally:
        torch.backends.cuda.enable_flash_sdp(before)


def test_an_unknown_level(tiny):
    with pytest.raises(InvalidInput, match="optimization_level='most'"):
        optimize(tiny.net, "most")
