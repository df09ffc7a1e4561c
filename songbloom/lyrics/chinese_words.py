"""Chinese text to words with their part of speech, by jieba; its dictionary loads at the first call."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

Word = tuple[str, str]  # characters, jieba part of speech


@lru_cache(maxsize=1)
def _tokenizers() -> tuple[Any, Any]:
    """jieba's tokenizer and its tagging companion: our own, so that a host program's user words stay out."""
    import jieba
    from jieba import posseg

    jieba.setLogLevel(logging.WARNING)
    plain = jieba.Tokenizer()
    return plain, posseg.POSTokenizer(plain)


def tagged_words(text: str) -> list[Word]:
    """``"我爱你"`` -> ``[("我", "r"), ("爱", "v"), ("你", "r")]``."""
    return [(pair.word, pair.flag) for pair in _tokenizers()[1].lcut(text)]


def search_cut(word: str) -> list[str]:
    """The word and the shorter known words within it, in the order in which jieba finds them."""
    return list(_tokenizers()[0].cut_for_search(word))
