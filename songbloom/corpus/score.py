"""A composed song: what is sung and played, and when. Everything a label can be made from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class PhoneEvent(NamedTuple):
    """One sung phone: seconds, ARPAbet phone without stress digit, MIDI note, index into the lyric items."""

    start_s: float
    end_s: float
    phone: str
    midi_pitch: int
    lyric_index: int


class TagEvent(NamedTuple):
    """A moment without voice, and the lyric item (section tag or sentence end) it belongs to."""

    start_s: float
    end_s: float
    lyric_index: int


class Note(NamedTuple):
    """One note of the melody; seconds from vowel onset, and the MIDI note."""

    start_s: float
    end_s: float
    midi_pitch: int


class Chord(NamedTuple):
    """One chord; root as pitch class 0-11 (C is 0), quality ``"maj"`` or ``"min"``."""

    start_s: float
    end_s: float
    root: int
    quality: str


class Section(NamedTuple):
    """One section, from its first bar line to the next section's."""

    name: str
    start_s: float
    end_s: float


class SungLine(NamedTuple):
    """One line as the singer needs it: phones ``first_phone`` to ``end_phone`` (exclusive) of the score, their
    CMUdict symbols with stress, and for each whether a new word begins there."""

    first_phone: int
    end_phone: int
    symbols: tuple[str, ...]
    word_starts: tuple[bool, ...]


@dataclass(frozen=True)
class BandCard:
    """Who plays and how: what two songs that belong together as style clip and song have in common.

    ``key`` is the tonic's pitch class, ``mode`` ``"major"`` or ``"minor"``; ``vocal_db`` is how much louder the
    voice is than the band, ``reverb`` the share of reverberation (0-1), ``swing`` the delay of the off-beat
    eighths as a share of an eighth, ``seed`` chooses the players' patterns and tones.
    """

    style: str
    voice: str
    bpm: float
    key: int
    mode: str
    vocal_db: float
    reverb: float
    brightness: float
    swing: float
    seed: int


@dataclass(frozen=True)
class Score:
    """One song with its labels; all times in seconds. ``lyrics`` is the prefix string the model is given."""

    lyrics: str
    text: list[tuple[str, list[str]]]
    phones: list[PhoneEvent]
    tags: list[TagEvent]
    notes: list[Note]
    chords: list[Chord]
    sections: list[Section]
    lines: list[SungLine]
    card: BandCard
    duration_s: float
    seed: int
    held_out: bool
    beats_per_bar: int = 4

    @property
    def bpm(self) -> float:
        return self.card.bpm

    @property
    def key(self) -> tuple[int, str]:
        """Tonic pitch class and mode."""
        return self.card.key, self.card.mode

    def to_json(self) -> str:
        """One JSON object; `from_json` reads it back equal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Score:
        """The score that `to_json` wrote."""
        raw: dict[str, Any] = json.loads(text)
        rows = {
            "phones": PhoneEvent, "tags": TagEvent, "notes": Note, "chords": Chord, "sections": Section,
        }  # fmt: skip
        for name, kind in rows.items():
            raw[name] = [kind(*row) for row in raw[name]]
        raw["lines"] = [SungLine(a, b, tuple(c), tuple(d)) for a, b, c, d in raw["lines"]]
        raw["text"] = [(name, lines) for name, lines in raw["text"]]
        raw["card"] = BandCard(**raw["card"])
        return cls(**raw)
