"""Chinese text to phonemes (``phoneme`` processor) or to tone-marked syllables (``pinyin`` processor)."""

from __future__ import annotations

import re
from functools import lru_cache

from . import tone_sandhi
from .chinese_words import tagged_words
from .data_files import read_table

HAN = re.compile("[\u4e00-\u9fa5]+")
# syllables without a vowel, which the phoneme table lacks
_SUBSTITUTES = str.maketrans({"嗯": "恩", "呣": "母"})
_AFTER_CONSONANT = {"uei": "ui", "iou": "iu", "uen": "un"}
_WITHOUT_CONSONANT = {"ing": "ying", "i": "yi", "in": "yin", "u": "wu"}
_GLIDES = {"v": "yu", "i": "y", "u": "w"}


@lru_cache(maxsize=1)
def _phoneme_table() -> dict[str, str]:
    """Syllable without tone -> its two phonemes (the strict opencpop table)."""
    return read_table("pinyin_phonemes.txt")


def _finals(word: str) -> list[str]:
    from pypinyin import Style, lazy_pinyin

    return lazy_pinyin(word, neutral_tone_with_five=True, style=Style.FINALS_TONE3)


def _initials(word: str) -> list[str]:
    from pypinyin import Style, lazy_pinyin

    return lazy_pinyin(word, neutral_tone_with_five=True, style=Style.INITIALS)


def _syllable_phonemes(initial: str, final: str) -> list[str]:
    """``("x", "ing2")`` -> ``["x", "ing2"]``; nothing for a syllable the table does not know."""
    vowel, tone = final[:-1], final[-1:]
    if initial:
        syllable = initial + _AFTER_CONSONANT.get(vowel, vowel)
    elif vowel in _WITHOUT_CONSONANT:
        syllable = _WITHOUT_CONSONANT[vowel]
    else:
        syllable = _GLIDES.get(vowel[:1], vowel[:1]) + vowel[1:]
    phonemes = _phoneme_table().get(syllable)
    if phonemes is None or tone not in set("12345"):
        return []
    onset, rhyme = phonemes.split(" ")
    return [onset, rhyme + tone]


def phonemize(text: str) -> list[str]:
    """Two phonemes per character of a run of Chinese; characters nobody has a reading for give none."""
    words = tone_sandhi.group(tagged_words(text.translate(_SUBSTITUTES)), _finals)
    phonemes: list[str] = []
    for word, kind in words:
        finals = tone_sandhi.change_tones(word, kind, _finals(word))
        for initial, final in zip(_initials(word), finals, strict=True):
            phonemes += _syllable_phonemes(initial, final)
    return phonemes


def _pinyin_run(match: re.Match[str]) -> str:
    from pypinyin import Style, lazy_pinyin

    syllables = lazy_pinyin(match.group(), neutral_tone_with_five=True, style=Style.TONE3)
    for i in range(len(syllables) - 1):
        if syllables[i].endswith("3") and syllables[i + 1].endswith("3"):
            syllables[i] = syllables[i][:-1] + "2"
    return "".join(f" <{syllable}>" for syllable in syllables) + " "


def pinyin(text: str) -> str:
    """Every run of Chinese as `` <ni2> <hao3> `` (spaces on both sides), everything else as it stands."""
    return HAN.sub(_pinyin_run, text)
