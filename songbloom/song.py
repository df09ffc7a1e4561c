"""A finished song and everything that made it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from songbloom import __version__
from songbloom.audio import WriteReport, write
from songbloom.files import as_json, written_aside
from songbloom.request import SongSettings


@dataclass(frozen=True)
class LineTime:
    """A line of the lyrics, the kind of section it is in, and the seconds at which it begins and ends.

    A section without words is a line without any.
    """

    section: str
    line: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Song:
    """Audio with its origin.

    Attributes:
        audio: float32 [channels, samples], full scale at -1..1.
        tokens: int64 [n], the sketch.
        latents: float32 [L, n].
        settings: with every value filled in, the seed too.
        ended: whether the model ended the song by itself (else it reached the longest duration).
        lines: when each line is sung; None where the model's tokens do not tell.
    """

    audio: NDArray[np.float32]
    sample_rate: int
    tokens: NDArray[np.int64]
    latents: NDArray[np.float32]
    idx: str
    lyrics: str
    phonemes: str
    prompt_name: str
    model: str
    settings: SongSettings
    ended: bool
    lines: tuple[LineTime, ...] | None = None

    @property
    def seconds(self) -> float:
        return self.audio.shape[-1] / self.sample_rate

    def metadata(self) -> dict[str, Any]:
        """What is written beside the audio and into its tags."""
        return {
            "title": self.idx,
            "model": self.model,
            "songbloom": __version__,
            "seconds": round(self.seconds, 3),
            "ended": self.ended,
            "lyrics": self.lyrics,
            "phonemes": self.phonemes,
            "prompt": self.prompt_name,
            "settings": asdict(self.settings),
            "lines": None if self.lines is None else [asdict(line) for line in self.lines],
        }

    def save(
        self,
        path: str | Path,
        *,
        format: str | None = None,
        subtype: str | None = None,
        loudness_lufs: float | None = None,
    ) -> WriteReport:
        """Write the audio, tagged, and its metadata as ``.json`` beside it; each appears whole or not at all.

        Args:
            format: flac, wav, mp3, ogg or opus; by default the suffix tells.
            subtype: bit depth or similar, as the format has it.
            loudness_lufs: level the song to this integrated loudness; by default its level is kept.
        """
        path = Path(path)
        metadata = self.metadata()
        tags = {
            k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in metadata.items()
        }
        tags["seed"] = str(self.settings.seed)
        with written_aside(path.with_suffix(".json")) as about:  # gets its name last: the two belong together
            about.write_bytes(as_json(metadata))
            return write(
                path,
                self.audio,
                self.sample_rate,
                format=format,
                subtype=subtype,
                tags=tags,
                loudness_lufs=loudness_lufs,
            )
