"""Style clips and lyrics to begin with: the files of the repository's ``example`` folder, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_INSTALLED, _CHECKOUT = (folder / "example" for folder in Path(__file__).parents[1:3])
#: Within the package where a wheel was installed (setup.py puts it there), beside the package in a checkout.
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


@dataclass(frozen=True)
class Examples:
    """What may be asked for, found once; a client names an entry and never a path."""

    clips: dict[str, Path]
    lyrics: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> Examples:
        """The examples in ``folder``; none if it is not there."""
        clips = {path.stem: path for path in sorted(folder.glob("clips/*.flac"))}
        lyrics = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("lyrics/*.txt"))}
        return cls(clips, lyrics)
