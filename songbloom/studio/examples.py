"""Style clips and lyrics to begin with: the files of the repository's ``example`` folder, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Beside the package in a checkout; an installed package has none.
FOLDER = Path(__file__).parents[2] / "example"


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
