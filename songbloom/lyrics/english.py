"""English words to ARPAbet phonemes, as the published system does it: one lyric item at a time.

The order for a word: homographs, the dictionary (CMUdict), spelling out of unknown words of up to three
letters, possessives, division into known words, and the spelling network for the rest.
The published system took these rules from GPT-SoVITS (MIT), which took numbers and homographs from g2p-en.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from . import numbers, spelling
from .data_files import read_table

_HISSING = {"S", "Z", "SH", "ZH", "CH", "JH"}
_VOICELESS = {"P", "T", "K", "F", "TH", "HH"}
# a word may hold apostrophes and hyphens inside; every other mark stands alone (the tokens of tweets)
_TOKEN = re.compile(r"[A-Za-z](?:[A-Za-z]|['-])+[A-Za-z]|[A-Za-z]+|\S")
_STRAIGHT_QUOTES = str.maketrans({'"': "'", "’": "'", ";": ",", ":": ",", "：": ",", "，": ",", "；": ","})


class Unpronounceable(ValueError):
    """The English rules have no reading for this text (``args[0]``)."""


@lru_cache(maxsize=1)
def _dictionary() -> dict[str, str]:
    return read_table("english_words.txt.gz")


@lru_cache(maxsize=1)
def _homographs() -> dict[str, str]:
    """Word -> its reading when seen alone; a capitalised entry is there where case changes it."""
    return read_table("homographs.txt")


def pronounce(word: str) -> list[str] | None:
    """The dictionary's phonemes of an English word (any case), or None if the dictionary lacks it.

    >>> pronounce("Hello")
    ['HH', 'AH0', 'L', 'OW1']
    """
    found = _homographs().get(word) or _homographs().get(word.lower()) or _dictionary().get(word.lower())
    return found.split(" ") if found else None


def _spell(word: str) -> list[str]:
    phonemes: list[str] = []
    for letter in word:
        reading = "EY1" if letter == "a" else _dictionary().get(letter)
        if reading is None:
            raise Unpronounceable(letter)
        phonemes += reading.split(" ")
    return phonemes


def _with_possessive(phonemes: Sequence[str]) -> list[str]:
    last = phonemes[-1] if phonemes else ""
    if last in _VOICELESS:
        return [*phonemes, "S"]
    return [*phonemes, "AH0", "Z"] if last in _HISSING else [*phonemes, "Z"]


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    import wordsegment

    segmenter = wordsegment.Segmenter()
    segmenter.load()
    return segmenter


@lru_cache(maxsize=10_000)  # dividing an unknown word takes a millisecond, and songs repeat theirs
def _read_word(word: str) -> tuple[str, ...]:
    """Phonemes of a lower-case word that is no homograph."""
    if len(word) > 1 and (found := _dictionary().get(word)):
        return tuple(found.split(" "))
    if len(word) <= 3:
        return tuple(_spell(word))
    if re.fullmatch(r"[a-z]+'s", word):
        return tuple(_with_possessive(_read_word(word[:-2])))
    parts = _segmenter().segment(word)
    if len(parts) == 1:
        return tuple(spelling.predict(word))
    return tuple(phoneme for part in parts for phoneme in _read_word(part))


def _read_token(token: str) -> Sequence[str]:
    word = token.lower()
    if not re.search("[a-z]", word):
        return ["-"] if token == "'" else [token]
    if len(word) == 1:
        return ["EY1"] if token == "A" else _dictionary()[word].split(" ")
    homographs = _homographs()
    found = homographs.get(token) or homographs.get(word)
    return found.split(" ") if found else _read_word(word)


def normalize(text: str) -> str:
    """Numbers in words, accents stripped, straight quotes, and of the rest only ``[ A-Za-z'.,?!-]``.

    Raises:
        Unpronounceable: a number too large to name.
    """
    try:
        text = numbers.expand(text.translate(_STRAIGHT_QUOTES))
    except (OverflowError, ValueError) as error:
        raise Unpronounceable(text) from error
    text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return re.sub(r"[^ A-Za-z'.,?!-]", "", text)


def phonemize(text: str) -> list[str]:
    """Phonemes and marks of a run of English text without sentence punctuation.

    Words are read each on its own, case only matters for ``A`` and a few homographs.
    Raises:
        Unpronounceable: no rule reads it; ``args[0]`` is the normalised text, which the published system
            passes on in its place.
    """
    normal = re.sub(r"'{4,}", "'''", normalize(text))
    phonemes: list[str] = []
    try:
        for token in _TOKEN.findall(normal):
            phonemes += _read_token(token)
    except Unpronounceable as error:
        raise Unpronounceable(normal) from error
    return phonemes
