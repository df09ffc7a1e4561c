"""Rows of a JSONL file. A bad line becomes an error in its place; it never stops the lines after it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from songbloom.errors import InvalidInput
from songbloom.request import SongRequest, SongSettings

_REQUIRED = ("idx", "lyrics", "prompt_wav")
_SETTINGS = tuple(field.name for field in fields(SongSettings))


def read_rows(path: Path, field: str = "input_jsonl") -> Iterator[tuple[int, dict[str, Any] | InvalidInput]]:
    """(line number from 1, JSON object or error) of every line that is not blank.

    Raises:
        InvalidInput: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = f"cannot be read ({reason}); give a file of one JSON object a line"
        raise InvalidInput(field, str(path), remedy) from error
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if line.strip():
            yield number, _object(line)


def _object(line: bytes) -> dict[str, Any] | InvalidInput:
    shown = line.decode("utf-8", "replace")
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return InvalidInput("line", shown, "is not UTF-8 text; save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        return InvalidInput("line", shown, f"is not JSON ({reason})")
    if not isinstance(row, dict):
        return InvalidInput("line", shown, 'is not a JSON object such as {"idx": "one", ...}')
    return row


def read_requests(
    path: Path, settings: SongSettings, prompt_start: float = 0.0
) -> list[tuple[int, SongRequest | InvalidInput]]:
    """The songs of a file of ``idx``, ``lyrics``, ``prompt_wav`` and, if wanted, ``prompt_start`` and settings.

    Args:
        path: relative ``prompt_wav`` are looked up beside it.
        settings: for all that a line does not set itself.
        prompt_start: in seconds, for lines that do not say.

    Raises:
        InvalidInput: the file cannot be read, or holds no line at all.
    """
    found: list[tuple[int, SongRequest | InvalidInput]] = []
    lines_of: dict[str, int] = {}
    for number, row in read_rows(path):
        if isinstance(row, InvalidInput):
            found.append((number, row))
            continue
        try:
            request = _request(row, path.parent, settings, prompt_start)
            # Names that differ in case or composition alone are one file on some systems.
            name = unicodedata.normalize("NFC", request.idx).casefold()
            if name in lines_of:
                remedy = f"line {lines_of[name]} makes this song already; give each line an idx of its own"
                raise InvalidInput("idx", request.idx, remedy)
            lines_of[name] = number
            found.append((number, request))
        except InvalidInput as error:
            found.append((number, error))
    if not found:
        raise InvalidInput("input_jsonl", str(path), "is empty; write one JSON object a line, one line a song")
    return found


def _request(row: Mapping[str, Any], folder: Path, settings: SongSettings, prompt_start: float) -> SongRequest:
    known = (*_REQUIRED, "prompt_start", *_SETTINGS)
    for key, value in row.items():
        if key not in known:
            raise InvalidInput(key, value, f"unknown key; known are {', '.join(known)}")
    for key in _REQUIRED:
        if row.get(key) is None:
            raise InvalidInput(key, None, f"is missing; a line needs {', '.join(_REQUIRED)}")
    own = {name: row[name] for name in _SETTINGS if row.get(name) is not None}
    idx = row["idx"]
    if isinstance(idx, int) and not isinstance(idx, bool):
        idx = str(idx)
    prompt = row["prompt_wav"]
    return SongRequest(
        lyrics=row["lyrics"],
        prompt_wav=folder / prompt if isinstance(prompt, str) and prompt else prompt,
        prompt_start=prompt_start if row.get("prompt_start") is None else row["prompt_start"],
        idx=idx,
        settings=SongSettings.from_mapping({**asdict(settings), **own}),
    )
