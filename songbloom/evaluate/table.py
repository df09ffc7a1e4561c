"""The report of an evaluation as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from songbloom.evaluate.stages import STAGES
from songbloom.evaluate.targets import MEASURES, Measure


def table(result: Mapping[str, Any]) -> list[str]:
    """Lines of a result of :func:`songbloom.evaluate.run.evaluate`: measure, model, corpus ceiling, target."""
    rows = [("measure", str(result["model"]), "corpus ceiling", "target")]
    for measure in MEASURES:
        found, reason = result["measures"][measure.name], result["not_measured"].get(measure.name)
        own = reason or shown(found["model"], measure.unit)
        corpus = "-" if reason else shown(found["corpus"], measure.unit)
        rows.append((measure.label, own, corpus, _target(measure)))
    # A reason is too long to set the width of a column.
    widths = [max(len(row[k]) for row in rows if k != 1 or not row[k].startswith("not measured")) for k in range(4)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-|-".join("-" * width for width in widths))
    return lines + _stage_lines(result)


def _stage_lines(result: Mapping[str, Any]) -> list[str]:
    if result["stages"] is None:
        return []
    if reason := result["not_measured"].get("wer"):
        return ["", f"where words get lost: {reason}"]
    width = max(len(label) for label in STAGES.values())
    found = result["stages"]
    lines = [f"{label.ljust(width)} | {shown(found[name], '%')}" for name, label in STAGES.items()]
    return ["", "where words get lost (error rate)", *lines]


def shown(value: float | None, unit: str) -> str:
    """A value with its unit; ``-`` where there is none."""
    if value is None:
        return "-"
    if unit == "%":
        return f"{100 * value:.0f} %"
    return f"{value:.3g} {unit}".rstrip()


def _target(measure: Measure) -> str:
    if measure.target is None:
        return ""
    sign = "at most" if measure.below else "at least"
    return f"{sign} {shown(measure.target, measure.unit)}"
