"""Does a song keep to the form of its lyrics? Told by its sketch tokens, so for models with the bundled codes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from songbloom.corpus.phones import PHONE_INDEX, plain
from songbloom.evaluate.alignment import align
from songbloom.model.sketch_codes import REST, phones_of, pitches_of

INSTRUMENTAL = ("intro", "inst", "outro")
# Of the length asked for, how much must be without voice: a pick-up may reach into an instrumental part.
KEPT_SHARE = 0.5
ENDING_S = 1.0


@dataclass(frozen=True)
class WrittenSection:
    """A section of the phoneme string a model is given: its tag, how often it stands there, and its phones."""

    name: str
    tags: int
    phones: tuple[int, ...]


def written_sections(phonemes: str) -> list[WrittenSection]:
    """The sections of a phoneme string; a tag repeated without a phone in between is one longer section."""
    sections: list[WrittenSection] = []
    for item in phonemes.split():
        if item.startswith("["):
            name, last = item.strip("[]"), sections[-1] if sections else None
            if last and last.name == name and not last.phones:
                sections[-1] = WrittenSection(name, last.tags + 1, ())
            else:
                sections.append(WrittenSection(name, 1, ()))
        elif sections and plain(item) in PHONE_INDEX:
            last = sections[-1]
            sections[-1] = WrittenSection(last.name, last.tags, (*last.phones, PHONE_INDEX[plain(item)]))
    return sections


class SungForm:
    """Where the written phones are in a song.

    Args:
        codes: the song's tokens [n].
        sections: what it should sing.
        frame_rate: tokens a second.
    """

    def __init__(self, codes: NDArray[np.int64], sections: Sequence[WrittenSection], frame_rate: float) -> None:
        played = np.flatnonzero(codes != REST)
        # Rests fill the last block after the song has ended.
        codes = codes[: played[-1] + 1] if len(played) else codes[:0]
        self._codes, self._sections, self._frame_rate = codes, sections, frame_rate
        phones = phones_of(codes)
        self._voiced = phones >= 0
        self._starts = np.flatnonzero(self._voiced & (np.diff(phones, prepend=-1) != 0))
        written = [
            (phone, (number, place))
            for number, section in enumerate(sections)
            for place, phone in enumerate(section.phones)
        ]
        kept = [at for at, (phone, _) in enumerate(written) if at == 0 or phone != written[at - 1][0]]
        self._place_of = [written[at][1] for at in kept]  # section, and place in it
        self._found = align([int(phones[start]) for start in self._starts], [written[at][0] for at in kept])

    def instrumentals_hold(self, seconds_per_tag: float) -> bool | None:
        """Whether no voice sings in any instrumental part; None without such parts.

        Before the first words: the voice comes no sooner than half of the length asked for. After the last: it ends
        a second or more before the song. Between: the last phone sung of what stands before and the first of what
        stands after have half of the length asked for without voice between them.
        """
        parts = [n for n, section in enumerate(self._sections) if section.name in INSTRUMENTAL and not section.phones]
        return all(self._holds(number, seconds_per_tag) for number in parts) if parts else None

    def _holds(self, number: int, seconds_per_tag: float) -> bool:
        wanted = KEPT_SHARE * self._sections[number].tags * seconds_per_tag * self._frame_rate
        voiced = np.flatnonzero(self._voiced)
        if not len(voiced):
            return False
        if not any(section.phones for section in self._sections[:number]):
            return bool(voiced[0] >= wanted)
        if not any(section.phones for section in self._sections[number:]):
            return bool(len(self._codes) - (voiced[-1] + 1) >= ENDING_S * self._frame_rate)
        before = self._frames(range(number))
        after = self._frames(range(number, len(self._sections)))
        return bool(len(before) and len(after)) and longest_run(~self._voiced[before[-1] : after[0]]) >= wanted

    def _frames(self, sections: range) -> list[int]:
        """First frames of the phones found of some sections, in order."""
        pairs = zip(self._found, self._place_of, strict=True)
        return [int(self._starts[found]) for found, (section, _) in pairs if found >= 0 and section in sections]

    def chorus_kept(self) -> float | None:
        """How alike repeated choruses are sung: of the phones both have, the share on the same note. None without."""
        first: dict[tuple[int, ...], dict[int, int]] = {}
        alike: list[float] = []
        for number, section in enumerate(self._sections):
            if section.name != "chorus" or not section.phones:
                continue
            notes = self._notes(number)
            if section.phones not in first:
                first[section.phones] = notes
                continue
            before = first[section.phones]
            both = before.keys() & notes.keys()
            alike.append(float(np.mean([before[k] == notes[k] for k in both])) if both else 0.0)
        return float(np.mean(alike)) if alike else None

    def _notes(self, number: int) -> dict[int, int]:
        """Notes of a section's phones, by their place in it, of those that were found."""
        notes, pairs = pitches_of(self._codes), zip(self._found, self._place_of, strict=True)
        return {
            place: int(notes[self._starts[found]])
            for found, (section, place) in pairs
            if section == number and found >= 0
        }


def longest_run(flags: NDArray[np.bool_]) -> int:
    """Length of the longest stretch of True."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return int(np.diff(edges)[::2].max(initial=0))
