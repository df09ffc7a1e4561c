"""The log of a run, ``log.jsonl``: one JSON object a line, each with its step."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from songbloom.files import write_bytes


def read_log(path: Path) -> list[dict[str, Any]]:
    """Its rows; none where there is no log, and without a line that was cut by a crash."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def forget_later(path: Path, step: int) -> None:
    """Drop the rows of steps after ``step``, which a run that was killed comes to again, and a line that was cut."""
    if path.is_file():
        kept = [row for row in read_log(path) if row.get("step", 0) <= step]
        write_bytes(path, "".join(f"{json.dumps(row)}\n" for row in kept).encode())
