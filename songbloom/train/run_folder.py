"""What lies in a run's folder: ``log.jsonl``, a JSON object a line with its step, and ``state.pt``, to resume from."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from songbloom.errors import CheckpointError
from songbloom.files import read_json_lines, write_bytes


def forget_later(path: Path, step: int) -> None:
    """Drop the rows of steps after ``step``, which a run that was killed comes to again, and a line that was cut."""
    if path.is_file():
        kept = [row for row in read_json_lines(path) if row.get("step", 0) <= step]
        write_bytes(path, "".join(f"{json.dumps(row)}\n" for row in kept).encode())


@contextlib.contextmanager
def state_to_resume(path: Path, remedy: str) -> Iterator[dict[str, Any]]:
    """The state of a run, to be loaded within; whatever of it does not fit is explained with ``remedy``.

    Raises:
        CheckpointError: it cannot be read, or is of a run with other settings.
    """
    try:
        yield torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path} is not of such a run ({reason}); {remedy}") from error
