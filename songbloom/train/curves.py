"""A picture of a training run from its log."""

from __future__ import annotations

from pathlib import Path

from songbloom.errors import InvalidInput
from songbloom.files import read_json_lines
from songbloom.pictures import drawing

SMOOTHING = 0.9  # weight of the past in the line drawn over the raw values


def draw_curves(run: Path, output: Path) -> Path:
    """Draw every number of ``run/log.jsonl`` over the minutes of training into ``output``.

    Raises:
        InvalidInput: the run has no log.
        NotAvailable: matplotlib, of the extra ``train``, is missing.
    """
    rows = list(read_json_lines(run / "log.jsonl"))
    if not rows:
        raise InvalidInput("run", str(run), "has no log.jsonl, or nothing in it yet; train it first")
    names = [n for n in dict.fromkeys(key for row in rows for key in row) if n not in ("step", "minutes", "done")]
    with drawing(output, len(names), figsize=(8, 1.6 * len(names))) as (_, axes):
        for axis, name in zip(axes, names, strict=True):
            points = [(row["minutes"], row[name]) for row in rows if name in row]
            smooth, line = points[0][1], []
            for _, value in points:
                smooth = SMOOTHING * smooth + (1 - SMOOTHING) * value
                line.append(smooth)
            axis.plot(*zip(*points, strict=True), alpha=0.3)
            axis.plot([minute for minute, _ in points], line)
            axis.set_ylabel(name)
        axes[-1].set_xlabel("minutes of training")
    return output
