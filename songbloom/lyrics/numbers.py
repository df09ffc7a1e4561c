"""English words for digits, the way the published system's English front end reads them.

The rules are those of the Tacotron number expansion (years in pairs, two thousand to 2009, "and" only in
ordinals); sterling, dollar and decimal forms are left out where a caller cannot pass them on: the phoneme
processor has already turned ``$``, ``.`` and ``,`` into punctuation of their own.
"""

from __future__ import annotations

import re

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = [
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
]
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
LARGEST = 10 ** (3 * (len(_SCALES) + 1)) - 1


def _below_hundred(n: int) -> str:
    if n < 20:
        return _ONES[n]
    tens, ones = divmod(n, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def _below_thousand(n: int, conjunction: str) -> str:
    hundreds, rest = divmod(n, 100)
    if not hundreds:
        return _below_hundred(rest)
    return f"{_ONES[hundreds]} hundred" + (f"{conjunction}{_below_hundred(rest)}" if rest else "")


def cardinal(n: int, conjunction: str = " ") -> str:
    """``1234`` -> ``"one thousand, two hundred thirty-four"``.

    Args:
        n: 0 to :data:`LARGEST` (just under 10**36).
        conjunction: what stands before the last two digits: ``" "``, or ``" and "`` for ordinals.

    Raises:
        OverflowError: the number has no name here.
    """
    if not 0 <= n <= LARGEST:
        raise OverflowError(f"no English name for {n}")
    if n < 1000:
        return _below_thousand(n, conjunction)
    groups: list[tuple[int, str]] = []
    rest, n = n % 1000, n // 1000
    for scale in _SCALES:
        n, group = divmod(n, 1000)
        if group:
            groups.append((group, scale))
    words = ", ".join(f"{_below_thousand(group, conjunction)} {scale}" for group, scale in reversed(groups))
    if not rest:
        return words
    return words + (conjunction if rest < 100 else ", ") + _below_thousand(rest, conjunction)


def ordinal(n: int) -> str:
    """``21`` -> ``"twenty-first"``, ``101`` -> ``"one hundred and first"``."""
    words = cardinal(n, conjunction=" and ")
    head, separator, last = re.fullmatch(r"(?:(.*)([ -]))?(\S+?)", words).groups()  # type: ignore[union-attr]
    if last in _IRREGULAR_ORDINALS:
        last = _IRREGULAR_ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return f"{head}{separator}{last}" if separator else last


def _year(n: int) -> str:
    """1001 to 2999, read as a year where that is usual."""
    century, rest = divmod(n, 100)
    if n == 2000:
        return "two thousand"
    if 2000 < n < 2010:
        return f"two thousand {_ONES[rest]}"
    if rest == 0:
        return f"{_below_hundred(century)} hundred"
    return f"{_below_hundred(century)} " + (f"oh {_ONES[rest]}" if rest < 10 else _below_hundred(rest))


def _read(digits: str) -> str:
    n = int(digits)
    return _year(n) if 1000 < n < 3000 else cardinal(n)


def expand(text: str) -> str:
    """Every ASCII number in ``text`` in words: ``1st``, ``£5``, ``1999``, ``1980s`` (``nineteen eightys``).

    Raises:
        OverflowError: a number of more than 36 digits.
    """
    text = re.sub(r"£([0-9,]*[0-9]+)", r"\1 pounds", text)
    text = re.sub(r"([0-9]+)(?:st|nd|rd|th)", lambda m: ordinal(int(m.group(1))), text)
    return re.sub(r"[0-9]+", lambda m: _read(m.group()), text)
