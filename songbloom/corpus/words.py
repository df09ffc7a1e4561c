"""The words songs are made of: pronunciation, frequency, class, and which are kept out of training."""

from __future__ import annotations

import functools
import gzip
import random
import zlib
from bisect import bisect
from importlib import resources
from itertools import accumulate
from typing import NamedTuple

from songbloom.corpus.phones import VOWELS, plain

# Frequencies of words on web pages are flattened: p ~ count ** FLATTEN.
FLATTEN = 0.35
HELD_OUT_SHARE = 10
# Words of class P are there for a pair of phones no other has; they are never held out and drawn more often.
RARE_PAIR_WEIGHT = 4.0


class Word(NamedTuple):
    """A word, its CMUdict phones with stress, and its number of syllables."""

    text: str
    phones: tuple[str, ...]
    syllables: int


def is_held_out(phones: tuple[str, ...]) -> bool:
    """Whether an open-class word with this pronunciation is kept for held-out songs (one in ten, by checksum).

    By the pronunciation, so that no homophone of a held-out word is trained on.
    """
    return zlib.crc32(" ".join(phones).encode()) % HELD_OUT_SHARE == 0


class WordPool:
    """Words of one class with weights to draw by."""

    def __init__(self, words: list[Word], weights: list[float]) -> None:
        self.words = words
        self._cumulative = list(accumulate(weights))

    def draw(self, rng: random.Random) -> Word:
        """A word by its flattened frequency."""
        return self.words[bisect(self._cumulative, rng.random() * self._cumulative[-1], 0, len(self.words) - 1)]


class Lexicon:
    """Pools by class letter: N noun, V verb, J adjective, R adverb, F closed class, ``*`` every open-class word,
    ``=`` the same with equal weights; and `literal`, the closed-class and template words by spelling."""

    def __init__(self, rows: list[tuple[str, tuple[str, ...], float, str]], held_out: bool) -> None:
        chosen: dict[str, list[tuple[Word, float]]] = {letter: [] for letter in "NVJRF*="}
        self.literal: dict[str, Word] = {}
        for text, phones, log_count, classes in rows:
            word = Word(text, phones, sum(plain(phone) in VOWELS for phone in phones))
            weight = 10 ** (FLATTEN * log_count)
            if classes == "F":
                self.literal[text] = word
                chosen["F"].append((word, weight))
                continue
            if held_out != (classes != "P" and is_held_out(phones)):
                continue
            chosen["*"].append((word, weight))
            chosen["="].append((word, RARE_PAIR_WEIGHT if classes == "P" else 1.0))
            for letter in classes.strip("-P"):
                chosen[letter].append((word, weight))
        self.pools = {k: WordPool([w for w, _ in v], [x for _, x in v]) for k, v in chosen.items()}


def word_rows() -> list[tuple[str, tuple[str, ...], float, str]]:
    """The rows of the word list: word, phones, log10 of its count, class letters."""
    packed = (resources.files("songbloom.corpus") / "data" / "words.tsv.gz").read_bytes()
    rows = (line.split("\t") for line in gzip.decompress(packed).decode().splitlines())
    return [(text, tuple(phones.split()), float(count), classes) for text, phones, count, classes in rows]


@functools.lru_cache(maxsize=2)
def load_lexicon(held_out: bool) -> Lexicon:
    """The lexicon of training, or of held-out songs: they share the closed-class words only."""
    return Lexicon(word_rows(), held_out)
