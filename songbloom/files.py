"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from songbloom.errors import OutputError


def check_target(path: str | os.PathLike[str]) -> Path:
    """The real path to write to, checked before work is spent on its content.

    Raises:
        OutputError: its folder is missing or cannot be written to, or it is not a regular file.
    """
    try:
        target = Path(os.path.realpath(path))  # writing through a link keeps the link
        if target.is_dir():
            raise OutputError(f"{path}: is a directory; give the name of a file in it")
        if target.exists() and not target.is_file():
            raise OutputError(f"{path}: is a device or pipe; give the name of a regular file")
        if not target.parent.is_dir():
            missing = "is not a directory" if target.parent.exists() else "does not exist"
            raise OutputError(f"{path}: the folder {target.parent} {missing}; create it or choose another")
    except (OSError, ValueError) as error:
        raise output_error(path, error) from error
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise output_error(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    return target


@contextmanager
def written_aside(path: str | os.PathLike[str], size: int | None = None) -> Iterator[Path]:
    """A path to write to instead of ``path``; it gets that name when the block ends well.

    Whatever goes wrong, an earlier file stays and no part is left.

    Args:
        size: bytes to be written, for the message if the disk is full.

    Raises:
        OutputError: it cannot be written; says why and what to do.
    """
    target = check_target(path)
    aside = target.with_name(f".songbloom-{secrets.token_hex(8)}.part")
    try:
        aside.touch(exist_ok=False)  # with the usual permissions, whatever the writer would choose
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())  # some file systems report a full disk only here
        aside.replace(target)
    except BaseException as error:  # Ctrl-C too must leave nothing behind
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise output_error(path, error, size) from error
        raise


def remove_parts(folder: Path) -> None:
    """Remove what a killed writer of :func:`written_aside` has left in a folder that nobody else writes to now."""
    for part in folder.glob(".songbloom-*.part"):
        part.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all; raises OutputError as :func:`written_aside` does."""
    with written_aside(path, len(data)) as aside:
        aside.write_bytes(data)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write ``content`` as JSON whole or not at all; raises OutputError as :func:`written_aside` does."""
    write_bytes(path, as_json(content))


def read_json_lines(path: Path) -> Iterator[Any]:
    """What the lines of a file say in JSON; nothing where there is no file, and without a line that a crash has cut."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with suppress(ValueError):
            yield json.loads(line)


def as_json(content: Any) -> bytes:
    """``content`` as JSON for people to read."""
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def output_error(path: str | os.PathLike[str], error: Exception, size: int | None = None) -> OutputError:
    """The OutputError for a failure to write ``size`` bytes to ``path``, with what to do about it."""
    code = getattr(error, "errno", None)
    if code in (errno.ENOSPC, errno.EDQUOT):
        need = "" if size is None else f" ({size / 1e6:.1f} MB needed)"
        return OutputError(f"{path}: no space left{need}; free some or choose another folder")
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{path}: no permission to write here; choose another folder")
    reason = getattr(error, "strerror", None) or str(error)
    return OutputError(f"{path}: cannot be written ({reason}); choose another name or folder")
