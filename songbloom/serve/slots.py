"""A worker's name, the same after every restart, held by one process at a time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from songbloom.errors import OutputError
from songbloom.serve.database import private_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_MOST = 256


@contextmanager
def worker_slot(data_dir: Path) -> Iterator[str]:
    """The name of the first slot no living process has; the system frees it when the process ends, however it ends.

    Names are unique among machines: each data folder has a random name of its own.
    """
    folder = private_folder(data_dir / "workers")
    node = _node_name(data_dir)
    for slot in range(_MOST):
        with (folder / f"{slot}.lock").open("a") as file:
            if _lock(file):
                yield f"{node}-{slot}"
                return
    raise OutputError(f"{folder}: {_MOST} workers are running here already")


def _lock(file: IO[str]) -> bool:
    if fcntl is None:
        return True  # there only one worker a data folder is safe
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _node_name(data_dir: Path) -> str:
    path = data_dir / "node"
    try:
        with path.open("x") as file:
            file.write(secrets.token_hex(6))
    except FileExistsError:
        pass
    return path.read_text().strip() or "node"
