"""Clean-up of pasted text: which characters a lyric keeps, and where its sentences end.

The outcome is the published format: words, apostrophes, hyphens and ``.`` between sentences.
"""

from __future__ import annotations

import re
import unicodedata

from . import chinese_numbers

LONGEST_WORD = 60  # letters; longer runs of letters are slips of a keyboard

_HAN = "\u4e00-\u9fa5"
_FULL_WIDTH = {0xFF01 + i: chr(0x21 + i) for i in range(94)}
_BRACKETS = "(){}<>《》〈〉【】「」『』〔〕〖〗[]"
_OPENING = "({<《〈【「『〔〖["
_QUOTES = '"“”„‟«»‹›‚‛〝〞'
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_SENTENCE_MARKS = re.compile(r"[,;:!?…。、．·•|~‖¡¿]+")
_KEPT_MARKS = set(_BRACKETS) | set(_QUOTES) | set(".,;:!?…。、．·•|~‖¡¿'‘’ʼ´`-‐‑–—―/\\&%$£#*_@+=^\n ")


def keep_writable(text: str) -> tuple[str, list[str]]:
    """Unifies line ends, widths and spaces, and drops what is not writing.

    Returns:
        the text, and the distinct characters dropped (emoji, control characters, pictures), in order.
        Variation selectors, joiners and byte order marks go unmentioned.
    """
    text = _LINE_ENDS.sub("\n", unicodedata.normalize("NFC", text)).translate(_FULL_WIDTH)
    kept: list[str] = []
    dropped: dict[str, None] = {}
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "Z" or character == "\t":
            kept.append(" ")
        elif category[0] in "LN" or category in ("Mn", "Mc") or character in _KEPT_MARKS:
            if not "\ufe00" <= character <= "\ufe0f":
                kept.append(character)
        elif category != "Cf":
            if category[0] == "P":
                kept.append(" ")
            dropped[character] = None
    return "".join(kept), list(dropped)


def _apostrophes(text: str) -> str:
    """Typographic apostrophes become ``'``; single quotation marks around words go."""
    text = re.sub("[ʼ´`]", "’", text)
    text = re.sub(r"‘([^‘’\n]*)’(?![A-Za-z])", r"\1", text)
    return re.sub(r"‘(?![A-Za-z])", "", text).replace("‘", "'").replace("’", "'")


def _dollars(match: re.Match[str]) -> str:
    unit = "dollar" if match[1] == "1" else "dollars"
    return f" {match[1]} {unit}" + (f" {match[2]}" if match[2] else "")


def _figures(text: str) -> str:
    """Figures whose marks would read as sentence ends."""
    text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", text)
    text = re.sub(r"\$\s?([0-9]+)(?:\.([0-9]{2}))?", _dollars, text)
    text = chinese_numbers.expand(text)
    text = re.sub(r"(?<=[0-9])\.(?=[0-9])", " point ", text)
    text = re.sub(r"(?<=[0-9])\s?%", " percent", text)
    text = re.sub(r"(?<=[0-9])[/:](?=[0-9])", " ", text)
    return re.sub(r"\s*&\s*", " and ", text)


def _without_brackets(text: str) -> str:
    """Quotation marks and brackets go; words on both sides of one stay apart."""
    text = re.sub(f"[{re.escape(_QUOTES)}]", "", text)
    text = re.sub(rf"(?<=[A-Za-z])[{re.escape(_OPENING)}](?=[A-Za-z])", " ", text)
    text = re.sub(rf"(?<=[A-Za-z])[{re.escape(_BRACKETS)}]+(?=[A-Za-z])", " ", text)
    return re.sub(f"[{re.escape(_BRACKETS)}]", "", text)


def clean_line(line: str) -> str:
    """One line of sung text in the published form; may be empty or end in ``.``."""
    line = _figures(_without_brackets(_apostrophes(re.sub(r"\s+", " ", line))))
    line = re.sub(r"\s*[—―]+\s*|\s+[-–]+\s+|--+", ".", line)
    line = re.sub(r"(?<![\w'])-+|-+(?![\w'])", " ", re.sub("[‐‑–]", "-", line))
    line = _SENTENCE_MARKS.sub(".", line)
    line = re.sub(r"[/\\]+", ".", line)
    line = re.sub(r"[#*_@+=^$£%]", " ", line)
    return tidy(line)


def _one_stop(match: re.Match[str]) -> str:
    """A run of full stops as one; at the very end a stop set apart stays, as in the published clean-up."""
    at_end = match.end() == len(match.string)
    return ". ." if at_end and " " in match.group() else "."


def tidy(text: str) -> str:
    """Single spaces and single full stops; spaces between Chinese characters end a sentence."""
    text = re.sub(r"\s+", " ", text).strip(" ")
    text = re.sub(rf"(?<=[{_HAN}]) (?=[{_HAN}])", ".", text)
    text = re.sub(r"\.(?: ?\.)+", _one_stop, text)
    text = re.sub(r"(?<=[0-9])\.(?=[0-9])", ". ", text)  # not to be taken for a decimal point
    return unicodedata.normalize("NFC", text)


def join_lines(lines: list[str]) -> str:
    """Cleaned lines as one body, a sentence a line; stops at the very start go."""
    body = ""
    for line in lines:
        if not body:
            body = line
        elif line:
            chinese = re.search(rf"[{_HAN}]\.?$", body[-2:]) and re.match(f"[{_HAN}]", line)
            body += ("" if body.endswith(".") else ".") + ("" if chinese else " ") + line
    return re.sub(r"^[ .]+", "", tidy(body))


def shorten_words(text: str) -> tuple[str, list[str]]:
    """Cuts runs of over 60 letters; returns the text and the beginnings of the words that were cut."""
    cut: list[str] = []

    def shorten(match: re.Match[str]) -> str:
        cut.append(match.group()[:12] + "…")
        return match.group()[:LONGEST_WORD]

    return re.sub(rf"[^\s{_HAN}.]{{{LONGEST_WORD + 1},}}", shorten, text), cut
