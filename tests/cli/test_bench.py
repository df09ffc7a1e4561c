from __future__ import annotations

import json

import pytest
import torch

from songbloom.benchmark import models

QUICK = ("--device", "cpu", "--rounds", 1, "--seconds", 1.3, "--steps", 4)
TINY = {"dim": 64, "num_heads": 2, "lm_layers": 2, "diff_layers": 1}


@pytest.fixture
def small_random_model(monkeypatch):
    """'benchmark' with little of everything."""
    monkeypatch.setitem(models.SIZES, "benchmark", TINY)
    monkeypatch.setitem(models._CODER, "channels", 4)
    for part in ("encoder", "decoder"):
        monkeypatch.setitem(models._VAE["model"][part]["config"], "channels", 4)


def test_a_table_and_then_a_line_of_json(run, tiny_folder):
    code, printed, _ = run("bench", "--model", tiny_folder, *QUICK, "--compare", "--optimization-level", "minimal")
    assert code == 0
    *table, line = printed.strip().splitlines()
    result = json.loads(line)
    times = {"rtf", "rtf_without_vae", "vae_rtf", "first_audio_ms"}
    times |= {"prefill_ms", "lm_ms_per_step", "dit_ms_per_evaluation"}
    assert all(result[name] > 0 for name in times | {"peak_memory_bytes", "weight_bytes", "ratio_to_minimal"})
    assert (result["seconds"], result["batch"], result["steps"]) == (1.28, 1, 4)
    assert "roofline" in "".join(table)


def test_levels_are_run_in_turns(run, tiny_folder, monkeypatch):
    loaded = []
    load = __import__("songbloom.pipeline", fromlist=["load"]).load
    monkeypatch.setattr(
        "songbloom.pipeline.load",
        lambda *a, **k: loaded.append(k["optimization_level"]) or load(*a, **k),
    )
    assert run("bench", "--model", tiny_folder, *QUICK, "--compare").code == 0
    assert loaded == ["standard", "minimal"]


@pytest.mark.parametrize(("quantization", "dtype"), [("none", torch.float32), ("int8", torch.int8)])
def test_random_weights(run, small_random_model, quantization, dtype):
    outcome = run("bench", "--model", "benchmark", *QUICK, "--batch", 2, "--quantization", quantization)
    assert outcome.code == 0
    result = json.loads(outcome.out.strip().splitlines()[-1])
    assert (result["quantization"], result["batch"]) == (quantization, 2)
    model = models.random_model("benchmark", torch.float32, torch.device("cpu"), quantization)
    assert model.net.lm.layers[0].mlp.down.state_dict()["weight"].dtype == dtype


@pytest.mark.parametrize("wrong", [("--steps", 0), ("--seconds", 301), ("--batch", 0), ("--rounds", 0)])
def test_refused(run, tiny_folder, wrong):
    assert run("bench", "--model", tiny_folder, *wrong).code == 2


@pytest.mark.parametrize("model", ["full", "songbloom_mini"])
def test_memory_is_told_by_precision_without_a_run(run, model):
    code, printed, _ = run("bench", "--model", model, "--memory", "--seconds", 30)
    *table, line = printed.strip().splitlines()
    rows = json.loads(line)
    assert code == 0 and len(table) == 2 + len(rows) == 10
    by_name = {row["profile"]: row for row in rows}
    plain, small = by_name["bfloat16, quantization none"], by_name["bfloat16, quantization int4, cache of 8 bits"]
    assert small["weights_bytes"] < 0.8 * plain["weights_bytes"]
    assert small["kv_cache_bytes"] < 0.55 * plain["kv_cache_bytes"] and small["vae_bytes"] == plain["vae_bytes"]
