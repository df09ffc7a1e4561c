"""SongBloom Next-Gen X2: whole songs from lyrics and ten seconds of style.

The public API is loaded on first use, so ``import songbloom`` stays cheap::

    import songbloom
    model = songbloom.load("songbloom_mini")
    song = model.generate(songbloom.SongRequest(lyrics="[verse] Hello . world", prompt_wav="clip.flac"))
    song.save("song.flac")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "load": "songbloom.pipeline",
    "SongBloom": "songbloom.pipeline",
    "SongRequest": "songbloom.request",
    "SongSettings": "songbloom.request",
    "Song": "songbloom.song",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'songbloom' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
