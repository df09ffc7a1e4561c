from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import GOLDENS


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_quantized_model_sings(run, tmp_path, quick, clip, kind):
    if kind == "int4":
        pytest.importorskip("bitsandbytes")
    out = tmp_path / "small"
    assert run("quantize", GOLDENS, "--output", out, "--quantization", kind).code == 0
    assert json.loads((out / "config.json").read_text(encoding="utf-8"))["quantization"] == kind
    stored = {t.dtype for t in load_file(out / "model.safetensors").values()}
    assert stored == {torch.float32, {"int8": torch.int8, "int4": torch.uint8}[kind]}
    assert run("generate", "--lyrics", "la", "--prompt-wav", clip, *quick, "--model-name", out).code == 0


def test_refused(run, tmp_path):
    assert run("quantize", GOLDENS, "--output", tmp_path / "a").code == 2
    assert run("quantize", GOLDENS, "--output", tmp_path / "a", "--quantization", "int2").code == 2
