"""What songs the corpus holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from songbloom.errors import InvalidInput

STYLES = (
    "piano_ballad", "synthpop", "rock", "folk", "reggae", "chiptune", "lofi", "house", "orchestral", "funk",
)  # fmt: skip


@dataclass(frozen=True)
class Voice:
    """A singer: range in MIDI notes, formant scale, how much of the noisy residual is taken from vowels (in
    nepers), and the lowest pitch in Hz the voice model is told (it sings lower by its pulse train alone)."""

    lowest: int
    highest: int
    formants: float
    residual_cut: float
    model_f0_floor: float


VOICES = {
    "hibari": Voice(55, 74, 1.0, 3.0, 150.0),
    "low": Voice(47, 64, 0.92, 6.0, 100.0),
    "bright": Voice(57, 76, 1.17, 3.0, 150.0),
}


@dataclass(frozen=True)
class CorpusSettings:
    """Limits of the songs that `compose` draws.

    Args:
        duration_s: shortest and longest song in seconds, met within a few seconds.
        single_line: songs of one line with at most a short intro, 4-7 s, for the start of a curriculum.
        held_out: use the words kept out of training, and a separate stream of random numbers.
        bpm: slowest and fastest tempo; the nearest one of `songbloom.corpus.timing.on_grid` is taken.
        vocal_db: smallest and largest level of the voice over the band.
        styles, voices: those to draw from.

    Raises:
        InvalidInput: a range that is empty or out of bounds, an unknown style or voice.
    """

    duration_s: tuple[float, float] = (16.0, 52.0)
    single_line: bool = False
    held_out: bool = False
    bpm: tuple[float, float] = (70.0, 140.0)
    vocal_db: tuple[float, float] = (5.0, 7.0)
    styles: tuple[str, ...] = STYLES
    voices: tuple[str, ...] = tuple(VOICES)

    def __post_init__(self) -> None:
        _check_range("duration_s", self.duration_s, 4, 240)
        _check_range("bpm", self.bpm, 70, 140)
        _check_range("vocal_db", self.vocal_db, -12, 24)
        _check_names("styles", self.styles, STYLES)
        _check_names("voices", self.voices, tuple(VOICES))


def _check_range(field: str, value: Any, low: float, high: float) -> None:
    first, last = value
    if not (math.isfinite(first) and math.isfinite(last) and low <= first <= last <= high):
        raise InvalidInput(field, value, f"must be two rising numbers between {low} and {high}.")


def _check_names(field: str, value: tuple[str, ...], known: tuple[str, ...]) -> None:
    if not value or any(name not in known for name in value):
        raise InvalidInput(field, value, f"must be one or more of {', '.join(known)}.")
