"""Mandarin tone changes between the syllables of a phrase, and the word grouping they need.

The rules and word lists are PaddleSpeech's (Apache-2.0, Copyright 2021 PaddlePaddle Authors), which the
published system uses, rearranged here. They include its oddities, because the checkpoints have learned them:
a third tone inside a longer word changes only where the word splits into two known parts.
A word is a pair (characters, jieba part of speech); finals are pypinyin's, one a character, tone last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from .chinese_words import Word, search_cut
from .data_files import read_lines

Finals = Callable[[str], list[str]]
Meeting = Callable[[list[str], list[str]], bool]

_FINAL_PARTICLES = "吧呢哈啊呐噻嘛吖嗨呐哦哒额滴哩哟喽啰耶喔诶"
_MEASURED = "几有两半多各整每做是"


@lru_cache(maxsize=1)
def _neutral_words() -> frozenset[str]:
    return frozenset(read_lines("neutral_tone_words.txt"))


@lru_cache(maxsize=1)
def _full_words() -> frozenset[str]:
    return frozenset(read_lines("full_tone_words.txt"))


def _toned(final: str, tone: str) -> str:
    return final[:-1] + tone


def _all_third(finals: list[str]) -> bool:
    return all(final[-1:] == "3" for final in finals)


def _join_bu(words: list[Word]) -> list[Word]:
    """不 joins the word behind it."""
    joined: list[Word] = []
    last = ""
    for text, kind in words:
        if last == "不":
            text = last + text
        if text != "不":
            joined.append((text, kind))
        last = text
    if last == "不":
        joined.append((last, "d"))
    return joined


def _join_yi(words: list[Word]) -> list[Word]:
    """听 一 听 becomes one word; any other single 一 joins the word behind it."""
    repeated: list[Word] = []
    for i, (text, kind) in enumerate(words):
        inside = text == "一" and 0 < i < len(words) - 1
        if inside and words[i - 1] == words[i + 1] and words[i - 1][1] == "v":
            # the published grouping indexes the list being built; earlier joins can have moved the place
            if i - 1 >= len(repeated):
                return words
            verb, verb_kind = repeated[i - 1]
            repeated[i - 1] = (f"{verb}一{verb}", verb_kind)
        elif not (i >= 2 and words[i - 1][0] == "一" and words[i - 2][0] == text and kind == "v"):
            repeated.append((text, kind))
    joined: list[Word] = []
    for text, kind in repeated:
        if joined and joined[-1][0] == "一":
            joined[-1] = ("一" + text, joined[-1][1])
        else:
            joined.append((text, kind))
    return joined


def _join_reduplication(words: list[Word]) -> list[Word]:
    joined: list[Word] = []
    for text, kind in words:
        if joined and text == joined[-1][0]:
            joined[-1] = (joined[-1][0] + text, joined[-1][1])
        else:
            joined.append((text, kind))
    return joined


def _join_third_tones(words: list[Word], finals_of: Finals, meet: Meeting) -> list[Word]:
    """Neighbours whose third tones ``meet`` become a word of up to three characters, never twice in a row."""
    finals = [finals_of(text) for text, _ in words]
    was_joined = [False] * len(words)
    joined: list[Word] = []
    for i, (text, kind) in enumerate(words):
        if i and not was_joined[i - 1] and meet(finals[i - 1], finals[i]):
            before = words[i - 1][0]
            doubled = len(before) == 2 and before[0] == before[1]
            if not doubled and len(before) + len(text) <= 3:
                joined[-1] = (joined[-1][0] + text, joined[-1][1])
                was_joined[i] = True
                continue
        joined.append((text, kind))
    return joined


def _join_er(words: list[Word]) -> list[Word]:
    joined: list[Word] = []
    for text, kind in words:
        if joined and text == "儿":
            joined[-1] = (joined[-1][0] + text, joined[-1][1])
        else:
            joined.append((text, kind))
    return joined


def group(words: list[Word], finals_of: Finals) -> list[Word]:
    """Joins the words of a segmentation over which tones change."""
    words = _join_reduplication(_join_yi(_join_bu(words)))
    words = _join_third_tones(words, finals_of, lambda a, b: _all_third(a) and _all_third(b))
    words = _join_third_tones(words, finals_of, lambda a, b: a[-1][-1:] == "3" and b[0][-1:] == "3")
    return _join_er(words)


def _split(word: str) -> tuple[str, str]:
    """A word in two parts, one of them the shortest word jieba's search cut finds in it."""
    shortest = min(search_cut(word), key=len)
    if word.startswith(shortest):
        return shortest, word[len(shortest) :]
    return word[: -len(shortest)], shortest


def _change_bu(word: str, finals: list[str]) -> None:
    if len(word) == 3 and word[1] == "不":
        finals[1] = _toned(finals[1], "5")
        return
    for i, character in enumerate(word[:-1]):
        if character == "不" and finals[i + 1][-1:] == "4":
            finals[i] = _toned(finals[i], "2")


def _change_yi(word: str, finals: list[str]) -> None:
    if "一" in word and all(character.isnumeric() for character in word if character != "一"):
        return
    if len(word) == 3 and word[1] == "一" and word[0] == word[2]:
        finals[1] = _toned(finals[1], "5")
    elif word.startswith("第一"):
        finals[1] = _toned(finals[1], "1")
    else:
        for i, character in enumerate(word[:-1]):
            if character == "一":
                finals[i] = _toned(finals[i], "2" if finals[i + 1][-1:] == "4" else "4")


def _is_neutral(word: str) -> bool:
    return word in _neutral_words() or word[-2:] in _neutral_words()


def _change_neutral(word: str, kind: str, finals: list[str]) -> None:
    for i in range(1, len(word)):
        if word[i] == word[i - 1] and kind[:1] in {"n", "v", "a"} and word not in _full_words():
            finals[i] = _toned(finals[i], "5")
    measure = word.find("个")
    end = word[-1]
    if (
        end in _FINAL_PARTICLES + "的地得"
        or (len(word) == 1 and word in "了着过" and kind in {"ul", "uz", "ug"})
        or (len(word) > 1 and end in "们子" and kind in {"r", "n"} and word not in _full_words())
        or (len(word) > 1 and end in "上下里" and kind in {"s", "l", "f"})
        or (len(word) > 1 and end in "来去" and word[-2] in "上下进出回过起开")
    ):
        finals[-1] = _toned(finals[-1], "5")
    elif word == "个" or (measure >= 1 and (word[measure - 1].isnumeric() or word[measure - 1] in _MEASURED)):
        finals[measure] = _toned(finals[measure], "5")
    elif _is_neutral(word):
        finals[-1] = _toned(finals[-1], "5")
    first, second = _split(word)
    for part, last in ((first, len(first) - 1), (second, len(word) - 1)):
        if part and _is_neutral(part):
            finals[last] = _toned(finals[last], "5")


def _change_third(word: str, finals: list[str]) -> None:
    if len(word) == 2 and _all_third(finals):
        finals[0] = _toned(finals[0], "2")
    elif len(word) == 3:
        cut = len(_split(word)[0])
        if _all_third(finals):
            for i in (0, 1) if cut == 2 else (1,) if cut == 1 else ():
                finals[i] = _toned(finals[i], "2")
        elif cut == 1 and _all_third(finals[1:]):
            finals[1] = _toned(finals[1], "2")
        elif cut == 2 and _all_third(finals[:2]) or cut == 1 and _all_third(finals[:2]):
            finals[0] = _toned(finals[0], "2")
    elif len(word) == 4:
        for start in (0, 2):
            if _all_third(finals[start : start + 2]):
                finals[start] = _toned(finals[start], "2")


def change_tones(word: str, kind: str, finals: list[str]) -> list[str]:
    """The finals of one grouped word, one a character, with the tones it is spoken in."""
    finals = list(finals)
    _change_bu(word, finals)
    _change_yi(word, finals)
    _change_neutral(word, kind, finals)
    _change_third(word, finals)
    return finals
