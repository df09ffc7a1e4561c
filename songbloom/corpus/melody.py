"""Rhythm and pitch of the voice: a motif a section, bent to fit each line's syllables."""

from __future__ import annotations

import random
from dataclasses import dataclass

from songbloom.corpus.harmony import chord_tones
from songbloom.corpus.settings import Voice

MIN_SYLLABLE_S = 0.255


@dataclass
class Motif:
    """What the lines of a section share: lengths in eighths, steps in the scale, and where the line starts."""

    lengths: list[int]
    steps: list[int]
    start_eighth: int


def draw_motif(rng: random.Random, eighth_s: float) -> Motif:
    """A motif of 16 syllables, of which a line uses as many as it has."""
    fast = rng.uniform(0.45, 0.9) if eighth_s < 0.3 else rng.uniform(0.7, 0.97)
    lengths = [1 if rng.random() < fast else rng.choice((2, 2, 2, 3)) for _ in range(16)]
    steps = [rng.choice((-2, -1, -1, 0, 0, 1, 1, 2)) for _ in range(16)]
    if rng.random() < 0.4:
        steps[rng.randrange(16)] = rng.choice((-4, -3, 3, 4))
    return Motif(lengths, steps, rng.choice((0, 0, 0, 1, 2) if eighth_s < 0.3 else (0, 0, 1)))


def scale_pitches(voice: Voice, key: int, scale: tuple[int, ...]) -> list[int]:
    """The MIDI notes of a scale within a voice's range, rising."""
    classes = {(key + step) % 12 for step in scale}
    return [pitch for pitch in range(voice.lowest, voice.highest + 1) if pitch % 12 in classes]


class MelodyWriter:
    """Walks along the scale from line to line, leaning on the chord at strong beats.

    Args:
        pitches: the notes allowed, rising.
        key: pitch class of the tonic, on which the song ends.
        rng: source of chance.
    """

    def __init__(self, pitches: list[int], key: int, rng: random.Random) -> None:
        self._pitches, self._key, self._rng = pitches, key, rng
        self._position = len(pitches) // 2

    def line(
        self, beats: list[int], chords: list[tuple[int, str]], steps: list[int], lift: float, ending: str
    ) -> list[int]:
        """MIDI notes of a line.

        Args:
            beats: eighth of the bar (0-7) each syllable falls on.
            chords: root and quality of the chord sounding at each syllable.
            steps: the motif's scale steps.
            lift: where in the range (0-1) the line is drawn to.
            ending: ``"open"``, ``"chord"`` (ends on a chord tone) or ``"tonic"``.
        """
        pitches, rng = self._pitches, self._rng
        top = len(pitches) - 1
        home = lift * top
        position = self._position
        notes = []
        for index, (beat, (root, quality)) in enumerate(zip(beats, chords, strict=True)):
            position += steps[index % len(steps)]
            if abs(position - home) > 0.35 * top:
                position += 1 if position < home else -1
            position = min(max(position, 0), top)
            last = index + 1 == len(beats)
            if last and ending == "tonic":
                position = self._nearest(position, frozenset((self._key,)))
            elif (last and ending == "chord") or (beat % 4 == 0 and rng.random() < 0.7):
                position = self._nearest(position, chord_tones(root, quality))
            notes.append(pitches[position])
        self._position = position
        return notes

    def _nearest(self, position: int, classes: frozenset[int]) -> int:
        near = [i for i, pitch in enumerate(self._pitches) if pitch % 12 in classes]
        return min(near, key=lambda i: abs(i - position)) if near else position


def fit_rhythm(
    motif: Motif, least_s: list[float], stressed: list[bool], eighth_s: float, rng: random.Random
) -> list[int]:
    """Eighths from each syllable's onset to the next one's; the last entry is the length of the last note.

    ``least_s`` is the time in seconds that the consonants up to the next vowel need at least.
    """
    lengths = []
    for index, (least, stress) in enumerate(zip(least_s, stressed, strict=True)):
        floor = max(least, MIN_SYLLABLE_S)
        units = max(motif.lengths[index % 16], -int(-floor // eighth_s))
        if not stress and units > 1 and floor <= eighth_s and rng.random() < 0.6:
            units = 1
        lengths.append(units)
    lengths[-1] = max(lengths[-1], rng.choice((2, 3, 4)) if eighth_s < 0.3 else rng.choice((2, 2, 3)))
    return lengths
