"""The published lyric string to the phoneme string its tokenizer reads, for both processors."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from songbloom.errors import InvalidInput

from . import chinese, english
from .data_files import read_lines

PROCESSORS = ("phoneme", "pinyin", "english")
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
_ENGLISH_PIECE = re.compile(r"\[[a-z]+\]|[.,!?…]|[^.,!?…\-\[\]]+")
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


def _english_word(word: str) -> list[str]:
    """An English word's phonemes, also where the published processor keeps it as a symbol (``a``, ``I``, ``my``)."""
    if word.lower() == "a":
        return ["AH0"]
    try:
        return english.pronounce(word) or english.phonemize(word)
    except english.Unpronounceable:
        return []


def _english(published: str) -> str:
    """What the bundled model reads: every word in phonemes, every sentence ended by ``.``, also before a section."""
    out: list[str] = []
    for piece in _ENGLISH_PIECE.findall(published):
        for word in piece.split():
            if word in STRUCTURE_LABELS:
                out.append(word)
            elif word == "," or word in ".!?…":
                if out and out[-1] not in (".", ",", *STRUCTURE_LABELS):
                    out.append(".")
            else:
                out += [p for p in _english_word(word) if p[0].isalpha()]
    return " ".join(_with_section_marks(out))


def _with_section_marks(items: list[str]) -> list[str]:
    """The items with ``,`` before each change of section and ``.`` after each last sentence."""
    marked: list[str] = []
    for item in [*items, None]:
        last = marked[-1] if marked else None
        if last is not None and last not in (".", *STRUCTURE_LABELS) and (item is None or item in STRUCTURE_LABELS):
            marked.append(".")
        if item is None:
            break
        if marked and item in STRUCTURE_LABELS and marked[-1] != item:
            marked.append(",")
        marked.append(item)
    return marked


def phonemize(published: str, processor: str = "phoneme") -> str:
    """The string a published tokenizer gets for a lyric in the published format.

    ``phoneme`` reads every item between single spaces on its own and joins the readings with single spaces;
    empty items are kept. ``pinyin`` rewrites runs of Chinese characters and copies the rest. ``english``, that
    of the bundled model, reads English words alone, all of them, and ends every sentence with ``.``.

    Raises:
        InvalidInput: an unknown processor.
    """
    if processor == "pinyin":
        return chinese.pinyin(published)
    if processor == "english":
        return _english(published)
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
        if word in (STRUCTURE_LABELS if processor == "english" else _verbatim()):
            continue
        if processor == "english":
            silent = any(c.isalnum() for c in word) and not any(p[0].isalpha() for p in _english(word).split())
        elif processor == "pinyin":
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
