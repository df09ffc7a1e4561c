"""The guide's script at the root of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

import infer_optimized
from songbloom import pipeline
from songbloom.cli import generate
from tests.conftest import LYRICS


@pytest.fixture
def infer(run):
    return lambda *arguments: run(*arguments, command=infer_optimized.main)


@pytest.fixture
def seen(monkeypatch):
    """Options that reach ``songbloom generate`` instead of songs."""
    options = []
    monkeypatch.setattr(generate, "run", lambda given: options.append(given) or 0)
    return options


def test_defaults_of_the_guide(infer, seen):
    assert infer().code == 0
    (given,) = seen
    assert (given.model_name, given.steps, given.top_k, given.cfg_coef) == ("songbloom_full_150s", 50, 200, 1.5)
    beside_the_script = Path(infer_optimized.__file__).parent / "example/test.jsonl"
    assert (given.input_jsonl, given.max_duration) == (beside_the_script, None) and beside_the_script.is_file()


def test_the_help_tells_the_guide_s_ranges_and_defaults(infer):
    text = " ".join(infer("--help").out.split())
    for told in ("10 to 100 (default: 50)", "50 to 500 (default: 200)", "0 to 5 (default: 1.5)"):
        assert told in text


@pytest.mark.parametrize(
    "line",
    [
        "--input-jsonl example/test.jsonl --dtype bfloat16",
        "--dtype float16 --steps 25",
        "--model-name songbloom_full_240s --local-dir cache --optimization-level minimal --batch-size 4",
        "--cfg-coef 0.0 --steps 100 --top-k 500 --max-duration 60 --quantization None",
        "--dtype bfloat16 --quantization int8 --steps 50 --optimization-level aggressive",
        "--dtype bfloat16 --quantization INT4",
        "--cfg-coef 5.0 --steps 10 --top-k 50 --output-dir x --n-samples 2 --device cpu",
    ],
)
def test_lines_of_the_guide_are_understood(infer, seen, line):
    assert infer(*line.split()).code == 0
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("--steps 9", "steps"), ("--steps 101", "steps"), ("--top-k 49", "top_k"), ("--top-k 501", "top_k"),
        ("--cfg-coef -0.1", "cfg_coef"), ("--cfg-coef 5.1", "cfg_coef"), ("--cfg-coef nan", "cfg_coef"),
    ],
)  # fmt: skip
def test_ranges_of_the_guide(infer, seen, line, field):
    outcome = infer(*line.split())
    assert (outcome.code, seen) == (2, [])
    assert f"error: {field}=" in outcome.err


@pytest.mark.parametrize("line", ["--quantization int2", "--optimization-level most", "--batch-size x"])
def test_unknown_values(infer, seen, line):
    assert infer(*line.split()).code == 2
    assert seen == []


def test_it_makes_songs(infer, tmp_path, quick, clip):
    assert infer("--lyrics", LYRICS, "--prompt-wav", clip, *quick, "--top-k", 50).code == 0
    assert (tmp_path / "out" / "song.flac").exists()


def test_a_missing_model_tells_how_to_get_it_or_do_without(infer, tmp_path, clip):
    outcome = infer(
        "--lyrics", LYRICS, "--prompt-wav", clip, "--output-dir", tmp_path, "--local-dir", tmp_path, "--device", "cpu"
    )
    assert outcome.code == 1
    assert "songbloom download songbloom_full_150s" in outcome.errors[0]
    assert "--model-name songbloom_mini" in outcome.errors[0]
    assert pipeline.DEFAULT_MODEL == "songbloom_mini"
