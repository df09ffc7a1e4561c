"""A process that decodes uploads: a hostile file can hang or kill this, and nothing else.

Each line of stdin is a JSON request, each line of stdout its answer; uploads.py is the other end.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from songbloom.audio import read_style_clip
from songbloom.audio.decode import open_audio
from songbloom.errors import InvalidInput

_MEMORY = 2 << 30
_FRAMES = 1 << 16


def probe(path: str, start_s: float, longest_s: float) -> float:
    """Seconds of audio in the file, counted by decoding.

    Raises:
        InvalidInput: it is no style clip, or is longer than ``longest_s``.
    """
    with open_audio(path, "prompt_wav") as file:
        rate, frames = file.samplerate, 0
        while block := len(file.read(max(1, _FRAMES // file.channels), dtype="float32", always_2d=True)):
            frames += block
            if frames > longest_s * rate:
                raise InvalidInput("prompt_wav", path, f"is longer than {longest_s:g} s; cut it to what matters")
    read_style_clip(path, start_s=start_s)
    return frames / rate


def answer(line: str) -> dict[str, Any]:
    """The answer to one request."""
    request = json.loads(line)
    try:
        return {"seconds": probe(request["path"], request["start_s"], request["longest_s"])}
    except InvalidInput as error:
        return {"field": error.field, "message": error.remedy}
    except (Exception, MemoryError) as error:
        return {"field": "prompt_wav", "message": f"cannot be decoded ({type(error).__name__})"}


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    _limit_memory()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(line)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
