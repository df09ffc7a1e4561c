"""The bundled model's processor: all words read, corpus-like marks."""

from __future__ import annotations

import pytest

from songbloom.corpus.compose import compose
from songbloom.lyrics import parse, phonemize, unpronounceable


@pytest.mark.parametrize(
    ("published", "phonemes"),
    [
        ("[verse] I left a cat", "[verse] AY1 L EH1 F T AH0 K AE1 T ."),
        ("[verse] My oh my. By and by", "[verse] M AY1 OW1 M AY1 . B AY1 AH0 N D B AY1 ."),
        ("[intro] [intro] , [verse] Hi! you? , [outro]", "[intro] [intro] , [verse] HH AY1 . Y UW1 . , [outro]"),
        ("[verse] one , [verse] two", "[verse] W AH1 N . , [verse] T UW1 ."),
        ("[verse] 你好 sun", "[verse] S AH1 N ."),
    ],
)
def test_reading(published, phonemes):
    assert phonemize(published, "english") == phonemes


def test_words_it_cannot_read_are_named():
    assert unpronounceable("[verse] hello 你好.", "english") == ["你好"]


def test_the_corpus_speaks_the_same_language():
    """Lyrics of composed songs have the marks this processor makes: sentences end in '.', sections in ','."""
    for seed in range(5):
        items = compose(seed).lyrics.split(" ")
        for before, item in zip(items[:-1], items[1:], strict=True):
            if item == ",":
                assert before == "." or before.startswith("[")
    text = "[intro 2s]\n\n[verse]\nHello there\nGoodbye\n\n[chorus]\nSing a song\n\n[outro]"
    assert phonemize(parse(text).published, "english") == (
        "[intro] [intro] , [verse] HH AH0 L OW1 DH EH1 R . G UH2 D B AY1 . , [chorus] S IH1 NG AH0 S AO1 NG . , [outro]"
    )
