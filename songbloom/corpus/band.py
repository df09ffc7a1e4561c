"""The accompaniment: plays a score's chords in the style of its card."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from songbloom.corpus.harmony import chord_tones
from songbloom.corpus.score import Chord, Score
from songbloom.corpus.styles import STYLE_BANDS, Part, Style
from songbloom.corpus.tones import SAMPLE_RATE, ToneBank

STEPS = 16
LETTER = {"intro": "i", "verse": "v", "chorus": "c", "bridge": "b", "inst": "n", "outro": "o"}
DRUM_LEVEL = {
    "kick": 0.75, "softkick": 0.6, "snare": 0.5, "clap": 0.55, "rim": 0.35, "hat": 0.4, "openhat": 0.35, "shaker": 0.5,
    "crash": 0.35, "tom": 0.5, "timpani": 0.5, "noise": 0.45,
}  # fmt: skip
DRUM_PAN = {"hat": 0.3, "openhat": 0.3, "shaker": -0.4, "rim": -0.15, "tom": 0.25, "crash": -0.3, "timpani": -0.2}
Floats = NDArray[np.float32]


def play(score: Score, bank: ToneBank) -> Floats:
    """The band of a whole song, float32 ``[2, samples]`` at 48 kHz, without effects and at no particular level."""
    return _Band(score, bank).play()


class _Band:
    def __init__(self, score: Score, bank: ToneBank) -> None:
        self._score, self._bank = score, bank
        self._style: Style = STYLE_BANDS[score.card.style]
        self._choice = random.Random(score.card.seed)  # the same for every song of the card
        self._chance = random.Random(f"band:{score.held_out}:{score.seed}")
        self._length = int(round(score.duration_s * SAMPLE_RATE))
        self._lanes: dict[float, Floats] = {}
        self._bar_s = 240.0 / score.bpm

    def play(self) -> Floats:
        style, choice = self._style, self._choice
        drums = choice.choice(style.drums)
        flip = choice.choice((1.0, -1.0))  # mirrored stage
        hook = [choice.choice((0, 1, 2, 3, 4)) for _ in range(8)]
        levels = [part.level * choice.uniform(0.8, 1.2) for part in style.parts]
        bars = self._bars()
        for number, (letter, start, chord, last_of_section, first_of_section) in enumerate(bars):
            final = number + 1 == len(bars)
            for part, level in zip(style.parts, levels, strict=True):
                if final:
                    self._ring(part, level, start, chord, flip)
                elif letter in part.where:
                    self._part(part, level, start, chord, flip, hook)
            if final:
                self._drum("crash" if style.fill else "", start, 0.6, flip)
                if any(name in drums for name in ("kick", "softkick")):
                    self._drum("kick" if "kick" in drums else "softkick", start, 1.0, flip)
                continue
            self._bar_drums(drums, letter, start, flip, last_of_section, first_of_section)
        out = np.zeros((2, self._length), np.float32)
        for pan, lane in self._lanes.items():
            angle = (pan + 1) * np.pi / 4
            out[0] += np.float32(np.cos(angle)) * lane
            out[1] += np.float32(np.sin(angle)) * lane
        return out

    def _bars(self) -> list[tuple[str, float, Chord, bool, bool]]:
        """Section letter, start, chord, whether it is the last and whether the first bar of its section."""
        sections = self._score.sections
        rows = []
        index = 0
        for chord in self._score.chords:
            while index + 1 < len(sections) and chord.start_s >= sections[index + 1].start_s - 1e-4:
                index += 1
            section = sections[index]
            rows.append(
                (
                    LETTER[section.name],
                    chord.start_s,
                    chord,
                    chord.end_s >= section.end_s - 1e-3,
                    chord.start_s <= section.start_s + 1e-3,
                )
            )
        return rows

    def _add(self, sound: Floats, start_s: float, level: float, pan: float) -> None:
        lane = self._lanes.get(pan)
        if lane is None:
            lane = self._lanes[pan] = np.zeros(self._length, np.float32)
        at = int(start_s * SAMPLE_RATE)
        room = self._length - at
        if room > 0:
            sound = sound[:room]
            lane[at : at + len(sound)] += np.float32(level) * sound

    def _step_s(self, bar_start: float, step: int) -> float:
        swing = self._score.card.swing * self._bar_s / 8 if step % 4 == 2 else 0.0
        return bar_start + step * self._bar_s / STEPS + swing

    def _pitches(self, chord: Chord, base: int) -> list[int]:
        return sorted(base + (tone - base) % 12 for tone in chord_tones(chord.root, chord.quality))

    def _part(self, part: Part, level: float, start: float, chord: Chord, flip: float, hook: list[int]) -> None:
        end = min(chord.end_s, start + self._bar_s)
        strokes = [step for step, mark in enumerate(part.pattern) if mark != "."]
        pitches = self._pitches(chord, part.base)
        root = part.base + (chord.root - part.base) % 12
        for index, step in enumerate(strokes):
            at = self._step_s(start, step)
            if at >= end - 0.02:
                break
            until = self._step_s(start, strokes[index + 1]) if index + 1 < len(strokes) else start + self._bar_s
            seconds = max(0.05, (until - at) * part.held)
            loud = level * (1.0 if part.pattern[step] == "X" else 0.82) * self._chance.uniform(0.9, 1.08)
            if part.mode == "block":
                notes = pitches
            elif part.mode == "arp":
                notes = [(*pitches, pitches[0] + 12, pitches[2], pitches[1])[index % 6]]
            elif part.mode == "root":
                notes = [root]
            elif part.mode == "octave":
                notes = [root + 12 * (index % 2)]
            elif part.mode == "walk":
                third = 4 if chord.quality == "maj" else 3
                notes = [root + (0, 7, 12, 7, third)[index % 5]]
            elif part.mode == "power":
                notes = [root, root + 7, root + 12]
            else:
                notes = [(*pitches, pitches[0] + 12, pitches[1] + 12)[hook[index % len(hook)]]]
            for number, pitch in enumerate(notes):
                # Strings of a chord are struck one after another.
                delay = 0.008 * number if part.tone in ("pluck", "nylon", "piano") else 0.0
                self._add(self._bank.note(part.tone, pitch, seconds), at + delay, loud, flip * part.pan)

    def _ring(self, part: Part, level: float, start: float, chord: Chord, flip: float) -> None:
        """The last chord, held to the end."""
        if part.mode == "lead":
            return
        seconds = min(chord.end_s - start, 4.5) * 0.9
        pitches = self._pitches(chord, part.base)
        low = part.base + (chord.root - part.base) % 12
        for pitch in [low] if part.mode in ("root", "octave", "walk") else pitches:
            self._add(self._bank.note(part.tone, pitch, seconds), start, level * 0.8, flip * part.pan)

    def _drum(self, name: str, start: float, level: float, flip: float) -> None:
        if name:
            self._add(self._bank.drum(name), start, level * DRUM_LEVEL[name], flip * DRUM_PAN.get(name, 0.0))

    def _bar_drums(
        self, drums: dict[str, str], letter: str, start: float, flip: float, last: bool, first: bool
    ) -> None:
        style = self._style
        lanes = dict(drums)
        if letter == "i" or letter == "o":
            # Intro and outro: only the time keepers.
            lanes = {name: pattern for name, pattern in drums.items() if name not in ("snare", "clap", "kick")}
        if letter == "b":
            lanes.pop("kick", None)
        fill = last and style.fill and letter != "o"
        rows = list(lanes.items())
        if letter in "cn" and style.chorus_drums:
            rows += style.chorus_drums.items()
        for name, pattern in rows:
            for step, mark in enumerate(pattern):
                if mark == "." or (fill and step >= 12):
                    continue
                level = (1.0 if mark == "X" else 0.7) * self._chance.uniform(0.88, 1.08)
                self._drum(name, self._step_s(start, step), level, flip)
        if fill:
            for step in range(12, STEPS):
                if step % 2 == 0 or self._chance.random() < 0.7:
                    self._drum(style.fill, self._step_s(start, step), 0.6 + 0.1 * (step - 12), flip)
        if first and letter == "c" and style.fill:
            self._drum("crash", start, 0.8, flip)
