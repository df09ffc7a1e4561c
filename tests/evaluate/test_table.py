from __future__ import annotations

from songbloom.evaluate.stages import STAGES
from songbloom.evaluate.table import shown, table
from songbloom.evaluate.targets import MEASURES


def result(**changes) -> dict:
    measures = {m.name: {"model": 0.5, "corpus": None, "target": m.target} for m in MEASURES}
    measures["wer"] = {"model": 0.931, "corpus": 0.264, "target": 0.25}
    return {"model": "mini", "measures": measures, "not_measured": {}, "stages": None} | changes


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


def test_every_measure_has_its_line_with_ceiling_and_target():
    head, rule, *lines = table(result())
    assert cells(head) == ["measure", "mini", "corpus ceiling", "target"] and set(rule) <= set("-|")
    assert len(lines) == len(MEASURES)
    assert cells(lines[0])[1:] == ["93 %", "26 %", "at most 25 %"]
    by_label = {cells(line)[0]: cells(line)[1:] for line in lines}
    assert by_label["size: files of the model"] == ["0.5 MB", "-", "at most 60 MB"]
    assert by_label["style: that of the clip"][2] == "at least 85 %"


def test_what_could_not_be_measured_says_why():
    line = table(result(not_measured={"wer": "not measured: pip install it"}))[2]
    assert cells(line)[1:] == ["not measured: pip install it", "-", "at most 25 %"]


def test_stages_follow_in_order():
    lines = table(result(stages=dict.fromkeys(STAGES, 0.5) | {"refiner": None}))[-len(STAGES) :]
    assert [cells(line)[0] for line in lines] == list(STAGES.values())
    assert [cells(line)[1] for line in lines] == ["50 %", "50 %", "-", "50 %"]


def test_values():
    assert shown(None, "%") == "-" and shown(0.987, "%") == "99 %"
    assert shown(0.2764, "s") == "0.276 s" and shown(0.84, "") == "0.84"
