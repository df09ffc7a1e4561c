from __future__ import annotations

import json

import pytest

from songbloom.evaluate.stages import STAGES
from songbloom.evaluate.targets import MEASURES

RESULT = {
    "model": "tiny",
    "measures": {m.name: {"model": 0.5, "corpus": 0.75, "target": m.target} for m in MEASURES},
    "not_measured": {},
    "stages": dict.fromkeys(STAGES, 0.25),
    "songs": [{"number": 0}, {"number": 1}],
}


@pytest.fixture
def asked(monkeypatch) -> dict:
    """What the evaluation was asked for."""
    seen: dict = {}

    def evaluate(model, songs, **options):
        seen.update(options, model=model, songs=songs)
        options["progress"](2 * songs, 2 * songs)
        return RESULT

    monkeypatch.setattr("songbloom.evaluate.run.evaluate", evaluate)
    return seen


def test_a_table_then_one_json_line_and_a_file_with_every_song(run, tiny_folder, tmp_path, asked):
    file = tmp_path / "numbers.json"
    code, out, _ = run(
        "evaluate", "--model-name", tiny_folder, "--songs", 2, "--stages", "--json", file, "--seed", 7, "--steps", 12,
        "--quantization", "int8",
    )  # fmt: skip
    assert code == 0
    assert asked["model"].profile.quantization == "int8"
    lines = out.splitlines()
    assert lines[0].startswith("measure") and "corpus ceiling" in lines[0]
    assert json.loads(lines[-1]) == RESULT | {"songs": 2}
    assert json.loads(file.read_text(encoding="utf-8")) == RESULT
    assert asked["songs"] == 2 and asked["stages"] is True
    assert (asked["settings"].seed, asked["settings"].steps) == (7, 12)
    size = sum(part.stat().st_size for part in tiny_folder.iterdir())
    assert asked["size_mb"] == pytest.approx(size / 1e6)


def test_wrong_use_is_found_before_any_work(run, tmp_path, asked):
    assert run("evaluate", "--songs", 0).code == 2
    assert run("evaluate", "--json", tmp_path / "missing" / "numbers.json").code == 1
    assert asked == {}
