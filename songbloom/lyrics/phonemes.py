"""The published lyric string to the phoneme string its tokenizer reads, for both processors."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from songbloom.errors import InvalidInput

from . import chinese, english
from .data_files import read_lines

PROCESSORS = ("phoneme", "pinyin")
STRUCTURE_LABELS = ("[intro]", "[outro]", "[bridge]", "[inst]", "[verse]", "[chorus]", "[silence]")

_MARK_OF = {
    **dict.fromkeys("：；，、·/", ","),
    **dict.fromkeys("。$\n", "."),
    "！": "!",
    "？": "?",
    "...": "…",
    "~": "…",
    "～": "…",
    "—": "-",
}
_TO_MARK = re.compile("|".join(map(re.escape, _MARK_OF)))
_RUNS = re.compile(r"(?P<han>[\u4e00-\u9fa5]+)|(?P<mark>[,.!?…\-])|(?P<other>[^\u4e00-\u9fa5,.!?…\-]+)")


@lru_cache(maxsize=1)
def symbols() -> tuple[str, ...]:
    """The published table of 322 phonemes and marks, sorted."""
    return tuple(read_lines("symbols.txt"))


@lru_cache(maxsize=1)
def _verbatim() -> frozenset[str]:
    return frozenset((*symbols(), *STRUCTURE_LABELS, ""))


@lru_cache(maxsize=4096)
def _item_phonemes(item: str) -> str:
    """One item between spaces: symbols and labels stay (``a``, ``I``, ``my``), all else is read aloud."""
    if item in _verbatim():
        return item
    phonemes: list[str] = []
    for run in _RUNS.finditer(_TO_MARK.sub(lambda m: _MARK_OF[m.group()], item)):
        if run["han"]:
            phonemes += chinese.phonemize(run["han"])
        elif run["mark"]:
            phonemes.append(run["mark"])
        else:
            try:
                phonemes += english.phonemize(run["other"])
            except english.Unpronounceable as error:
                phonemes.append(error.args[0])
    return " ".join(phonemes)


def phonemize(published: str, processor: str = "phoneme") -> str:
    """The string a published tokenizer gets for a lyric in the published format.

    ``phoneme`` reads every item between single spaces on its own and joins the readings with single spaces;
    empty items are kept. ``pinyin`` rewrites runs of Chinese characters and copies the rest.

    Raises:
        InvalidInput: an unknown processor.
    """
    if processor == "pinyin":
        return chinese.pinyin(published)
    if processor != "phoneme":
        raise InvalidInput("processor", processor, f"choose one of {', '.join(PROCESSORS)}.")
    return " ".join(map(_item_phonemes, published.split(" ")))


def unpronounceable(published: str, processor: str = "phoneme") -> list[str]:
    """The words of a lyric for which the processor has no reading, or only for a part, each once, in order.

    ``phoneme`` reads English and Chinese (and any Latin letters as English); ``pinyin`` Chinese alone.
    """
    found: dict[str, None] = {}
    known = set(symbols())
    for word in published.split():
        if word in _verbatim():
            continue
        if processor == "pinyin":
            unread = re.sub(r"<[a-z]+[1-5]>", "", chinese.pinyin(word))
            silent = any(unicodedata.category(c)[0] in "LN" for c in unread)
        else:
            silent = not all(_has_reading(c) for c in word) or not known.issuperset(
                phonemize(word).replace("UNK", "?unread").split()
            )
        if silent:
            found[word.strip(".,!?…-")] = None
    return list(found)


def _has_reading(character: str) -> bool:
    """Whether the phoneme processor reads a letter or digit; marks count as read."""
    if unicodedata.category(character)[0] not in "LN":
        return True
    base = unicodedata.normalize("NFD", character)[0]
    return base.isascii() or (chinese.HAN.match(character) is not None and bool(phonemize(character)))
