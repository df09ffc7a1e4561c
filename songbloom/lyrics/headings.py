"""Section headings as people write them, mapped to the seven structure labels the model knows."""

from __future__ import annotations

import re
from dataclasses import dataclass

VOCAL = ("verse", "chorus", "bridge")
INSTRUMENTAL = ("intro", "inst", "outro", "silence")

_NAMES = {
    "verse": "verse, vers, strophe, couplet, estrofa, verso, rap, pre chorus, prechorus, pre hook, build, "
    "主歌, 导歌, 说唱, 預副歌, 预副歌",
    "chorus": "chorus, hook, refrain, post chorus, postchorus, estribillo, coro, refrão, 副歌, 高潮, 合唱",
    "bridge": "bridge, middle 8, middle eight, puente, ponte, c part, 桥段, 橋段, 过渡, 桥",
    "inst": "inst, instrumental, instrumental break, solo, interlude, break, breakdown, drop, riff, "
    "间奏, 間奏, 独奏, 獨奏, 器乐",
    "intro": "intro, introduction, opening, prelude, start, 前奏, 引子",
    "outro": "outro, ending, coda, end, postlude, fade out, finale, 尾奏, 尾声, 尾聲, 结尾",
    "silence": "silence, pause, 静音, 停顿",
}
_KIND_OF = {name.strip(): kind for kind, names in _NAMES.items() for name in names.split(",")}
_NAME = "|".join(re.escape(name) for name in sorted(_KIND_OF, key=len, reverse=True))
# words that stay unmistakable on a line of their own, without brackets or colon
_PLAIN_NAMES = frozenset(
    ("intro", "verse", "chorus", "bridge", "outro", "pre chorus", "prechorus", "refrain", "instrumental")
).union(name for name in _KIND_OF if not name.isascii())

_CLOCK = re.compile(r"\b(\d{1,2}):([0-5]\d)\b")
_SECONDS = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(?:seconds?|secs?|s|秒)(?![a-z])")
_DECADE = re.compile(r"'?\b(?:(?:19|20)\d0|[2-9]0)s(?=\s+[a-z])")  # before another word
_TIMES = re.compile(r"(?:\bx\s*\d+|\b\d+\s*x\b|×\s*\d+|(?<!\d)\d+\s*×)")
_NUMBER = r"(?:\s*(?:\d{1,3}|[ivx]{1,4}|[a-d]|[一二三四五六七八九十]))?"
_LEADING = re.compile(rf"({_NAME})(?![a-z])")
_EXACT = re.compile(rf"({_NAME}){_NUMBER}\s*")
_COLON = re.compile(r"(?P<name>[^:\n]{1,40}?)\s*:\s*(?P<text>.*)", re.S)
_PARENTHESES = re.compile(r"\((?P<name>[^()\n]{1,40})\)\s*:?\s*(?P<text>.*)", re.S)

# bracketed notes to performers and to karaoke players: neither sections nor words to sing
_NOTE = re.compile(
    r"\d+:\d+|^[\d\s.,:x×*]+$|^(?:ti|ar|al|by|offset|length|la|au|re|ve)\s*:|"
    r"\b(?:repeat|voices?|vocals?|male|female|man|woman|men|women|duet|all|both|everyone|whisper\w*|spoken|"
    r"shout\w*|scream\w*|laugh\w*|applause|clap\w*|ad ?libs?|harmon\w*|fade\w*|tempo|key|bpm|mood|genre|"
    r"style|title|artist|album|lyrics?|cheers?|crowd|sfx|sound)\b|重复|男|女|合"
)


@dataclass(frozen=True)
class Heading:
    """A recognised heading: ``kind`` is one of the seven labels, ``seconds`` the length asked for, if any."""

    kind: str
    seconds: float | None = None


def _plain(text: str) -> str:
    return re.sub(r"[\s_\-‐‑–—]+", " ", text.casefold()).strip(" .:#*>")


def _duration(text: str) -> tuple[float | None, str]:
    """The length in seconds written in a heading, and the heading without it."""
    if clock := _CLOCK.search(text):
        return 60.0 * int(clock[1]) + int(clock[2]), text[: clock.start()] + text[clock.end() :]
    if seconds := _SECONDS.search(text):
        return float(seconds[1]), text[: seconds.start()] + text[seconds.end() :]
    return None, text


def from_brackets(inner: str) -> Heading | None:
    """The heading in ``[...]``: ``Verse 1``, ``intro: 10s``, ``Guitar Solo``, ``Chorus - all``, or None."""
    if exact := _exact(inner):
        return exact
    seconds, rest = _duration(_DECADE.sub("", inner.casefold()))  # beside other words 80s is a sound, not a length
    rest = _plain(_TIMES.sub("", rest))
    if leading := _LEADING.match(rest):
        return Heading(_KIND_OF[leading[1]], seconds)
    inside = re.findall(rf"(?<![a-z])({_NAME})(?![a-z])", rest)
    return Heading(_KIND_OF[inside[-1]], seconds) if inside else None


def is_note(inner: str) -> bool:
    """Whether an unknown ``[...]`` is a remark (``[x2]``, ``[00:12.30]``, ``[whispered]``), no section."""
    return _NOTE.search(inner.casefold()) is not None


def _exact(name: str) -> Heading | None:
    """A heading that is nothing but a section name, a number and a length."""
    seconds, rest = _duration(name.casefold())
    rest = _plain(_TIMES.sub("", rest)).strip(" ,()")
    match = _EXACT.fullmatch(rest)
    return Heading(_KIND_OF[match[1]], seconds) if match else None


def _is_unmistakable(name: str) -> bool:
    """Whether a name, with or without its number, is hardly ever meant as words to sing."""
    name = _plain(_duration(name.casefold())[1])
    return name in _PLAIN_NAMES or re.sub(rf"{_NUMBER}$", "", name) in _PLAIN_NAMES


def from_line(line: str) -> tuple[Heading, str] | None:
    """A heading without square brackets that opens a line, and the words after it.

    Read as headings: ``Verse 1:``, ``Chorus: la la``, ``(Chorus)``, ``**Bridge**``, ``# Intro``, ``Verse 2``,
    ``OUTRO``; ``break`` or ``hook`` alone on a line are words to sing.
    """
    stripped = line.strip().strip("*_").strip()
    for form in (_PARENTHESES, _COLON):
        match = form.fullmatch(stripped)
        if match and (heading := _exact(match["name"])):
            words = match["text"].strip("*_ ")
            if not words or _is_unmistakable(match["name"]):
                return heading, words
    heading = _exact(stripped)
    if heading is None:
        return None
    marked = stripped != line.strip() or stripped.startswith("#")
    written_as_title = stripped[0].isupper() or not stripped[0].isascii() or stripped[-1].isdigit()
    return (heading, "") if marked or (written_as_title and _is_unmistakable(stripped)) else None
