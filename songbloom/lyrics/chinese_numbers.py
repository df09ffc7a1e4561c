"""Chinese words for digits that stand next to Chinese characters.

The published system reads every digit in English, in the middle of a Chinese sentence too.
"""

from __future__ import annotations

import re

_DIGITS = "零一二三四五六七八九"
_HAN = "\u4e00-\u9fa5"
_RUN = re.compile(rf"(?<=[{_HAN}])[0-9]+(?:\.[0-9]+)?%?|(?<![0-9])[0-9]+(?:\.[0-9]+)?%?(?=[{_HAN}])")
_MEASURES = "个位只条张本天人次年岁杯件首颗朵封座种份句遍双片场滴点里步度颗束瓶把"


def _digit_by_digit(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


def _below_ten_thousand(n: int) -> str:
    words, zero_due = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, n = divmod(n, unit)
        if digit:
            words += ("零" if zero_due else "") + _DIGITS[digit] + name
            zero_due = False
        else:
            zero_due = bool(words)
    return words


def cardinal(n: int) -> str:
    """``10010`` -> ``"一万零一十"``, ``15`` -> ``"十五"``; 0 to 10**12 - 1."""
    if n == 0:
        return "零"
    words = ""
    for scale, name in ((10**8, "亿"), (10**4, "万"), (1, "")):
        group, n = divmod(n, scale)
        if group:
            words += ("零" if words and group < 1000 else "") + _below_ten_thousand(group) + name
    return words[1:] if words.startswith("一十") else words


def _read(match: re.Match[str]) -> str:
    text, after = match.group(), match.string[match.end() : match.end() + 1]
    number = text.rstrip("%")
    whole, _, fraction = number.partition(".")
    if (len(whole) == 4 and after == "年") or len(whole) > 12 or (whole[0] == "0" and len(whole) > 1):
        words = _digit_by_digit(whole)
    elif whole == "2" and not fraction and after and after in _MEASURES:
        words = "两"
    else:
        words = cardinal(int(whole))
    if fraction:
        words += "点" + _digit_by_digit(fraction)
    return ("百分之" + words) if text.endswith("%") else words


def expand(text: str) -> str:
    """``2024年`` -> ``二零二四年``, ``第3`` -> ``第三``, ``2个`` -> ``两个``; digits elsewhere stay."""
    return _RUN.sub(_read, text)
