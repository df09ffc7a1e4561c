"""For schemathesis: random bytes are no style clip, so valid requests get a real one."""

from __future__ import annotations

import struct
from typing import Any

import schemathesis
from schemathesis import GenerationMode

# Valid alone, but bound to the clip's length and to each other, as no schema can say.
_BOUND = {"prompt_start": 36000, "guidance_from": 1, "guidance_to": 1}


def text_clip() -> str:
    """A second of 8-bit sound in a WAV file all of whose bytes are ASCII: schemathesis takes binary for a violation."""
    samples = bytes(40 + 10 * (n // 8 % 8) for n in range(0x2010))
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    head = struct.pack("<4sI4s", b"RIFF", 36 + len(samples), b"WAVE")
    return (head + form + struct.pack("<4sI", b"data", len(samples)) + samples).decode("ascii")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    mode = case.meta.generation.mode if case.meta is not None else None
    if mode != GenerationMode.POSITIVE or not isinstance(case.body, dict) or "prompt_audio" not in case.body:
        return
    case.body = {**case.body, "prompt_audio": text_clip()}
    for name, most in _BOUND.items():
        value = case.body.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most:
            del case.body[name]


@schemathesis.hook
def filter_headers(context: Any, headers: Any) -> bool:
    """HTTP strips blanks around a value, which would make a wrong one right."""
    return all(str(value) == str(value).strip() for value in (headers or {}).values())
