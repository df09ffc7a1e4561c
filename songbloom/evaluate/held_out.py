"""The songs a model is evaluated on: lyrics, melodies and style clips that no training song has.

The first songs sing the lyrics of ``held_out_lyrics.txt``, which make sense, so that a speech recogniser can tell how
many of their words are understood; most of these words are sung in training songs too, in other lines. The songs after
them sing words kept out of training in a random order, which no recogniser could tell: their words are not heard.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from songbloom.audio import write
from songbloom.corpus.compose import compose
from songbloom.corpus.phones import VOWELS, plain
from songbloom.corpus.render import SAMPLE_RATE, Studio
from songbloom.corpus.score import Score
from songbloom.corpus.settings import STYLES, VOICES, CorpusSettings
from songbloom.corpus.words import Word
from songbloom.errors import InvalidInput
from songbloom.lyrics.english import pronounce

FIRST_SEED = 500_000
CLIP_S = 10

Sections = list[tuple[str, list[str]]]


@dataclass(frozen=True)
class HeldOutSong:
    """One song to evaluate: what the corpus sings, and the words of its lyrics, None where they make no sense."""

    number: int
    score: Score
    words: tuple[str, ...] | None

    @property
    def lyrics(self) -> str:
        """The lyrics as a user would write them."""
        return lyrics_text(self.score)


@functools.lru_cache(maxsize=1)
def held_out_lyrics() -> tuple[Sections, ...]:
    """The lyrics of ``held_out_lyrics.txt``: sections with their lines."""
    text = (resources.files("songbloom.evaluate") / "held_out_lyrics.txt").read_text(encoding="utf-8")
    return tuple(_read_sections(song) for song in re.split(r"^---$", text, flags=re.MULTILINE))


def _read_sections(text: str) -> Sections:
    sections: Sections = []
    for line in text.split("\n"):
        if tag := re.fullmatch(r"\[(\w+)\]", line.strip()):
            sections.append((tag[1], []))
        elif line.strip():
            sections[-1][1].append(line.strip())
    return sections


def line_words(line: str) -> list[str]:
    """The words of a line in lower case, without marks."""
    return re.findall(r"[a-z]+(?:'[a-z]+)*", line.lower())


def sung_words(line: str) -> list[Word]:
    """A line's words with their pronunciation.

    Raises:
        InvalidInput: the dictionary lacks a word.
    """
    found = []
    for text in line_words(line):
        phones = pronounce(text)
        if phones is None:
            raise InvalidInput("lyrics", text, "is not in the pronunciation dictionary")
        found.append(Word(text, tuple(phones), sum(plain(phone) in VOWELS for phone in phones)))
    return found


def held_out_song(number: int) -> HeldOutSong:
    """Song ``number``, counted from 0; styles and voices take turns."""
    styles, voices = (STYLES[number % len(STYLES)],), (list(VOICES)[number % len(VOICES)],)
    lyrics = held_out_lyrics()
    if number >= len(lyrics):
        settings = CorpusSettings(held_out=True, styles=styles, voices=voices, duration_s=(20.0, 40.0))
        return HeldOutSong(number, compose(FIRST_SEED + number, settings), None)
    settings = CorpusSettings(held_out=True, styles=styles, voices=voices)
    sections = [(name, [sung_words(line) for line in lines]) for name, lines in lyrics[number]]
    words = tuple(word.text for _, lines in sections for line in lines for word in line)
    return HeldOutSong(number, compose(FIRST_SEED + number, settings, lyrics=sections), words)


def lyrics_text(score: Score) -> str:
    """A score's lyrics as a user would write them, instrumental sections with their length."""
    parts = []
    for section, (name, lines) in zip(score.sections, score.text, strict=True):
        seconds = f" {max(1, round(section.end_s - section.start_s))}s" if not lines else ""
        parts.append("\n".join([f"[{name}{seconds}]", *lines]))
    return "\n\n".join(parts)


def write_clip(studio: Studio, score: Score, folder: Path) -> Path:
    """Ten seconds of another song of the same style, voice, tempo and key, as a file in ``folder``."""
    twin = compose(FIRST_SEED * 2 + score.seed, CorpusSettings(held_out=True, duration_s=(16.0, 24.0)), card=score.card)
    start = int(max(0.0, min(twin.phones[0].start_s - 1, twin.duration_s - CLIP_S)) * SAMPLE_RATE)
    path = folder / f"clip_{score.seed}.wav"
    write(path, studio.render(twin)[:, start : start + CLIP_S * SAMPLE_RATE], SAMPLE_RATE)
    return path


def reference_song(studio: Studio, style: str, voice: str, number: int) -> NDArray[np.float32]:
    """A song of a style and a voice, other than those evaluated, [2, n] at the corpus' rate."""
    settings = CorpusSettings(held_out=True, styles=(style,), voices=(voice,), duration_s=(12.0, 16.0))
    place = STYLES.index(style) * len(VOICES) + list(VOICES).index(voice)
    return studio.render(compose(FIRST_SEED * 3 + 100 * place + number, settings))
