"""The word list, what is held out of it, and the lines made from it."""

import random

from songbloom.corpus.compose import compose
from songbloom.corpus.lines import FRAGMENTS, draw_line
from songbloom.corpus.phones import PHONES, plain
from songbloom.corpus.settings import CorpusSettings
from songbloom.corpus.words import load_lexicon, word_rows


def _open_words(held_out: bool) -> set[tuple[str, ...]]:
    return {word.phones for word in load_lexicon(held_out).pools["*"].words}


def test_held_out_words_share_no_pronunciation_with_training() -> None:
    training, held_out = _open_words(False), _open_words(True)
    assert not training & held_out
    assert 0.05 < len(held_out) / len(training) < 0.2


def test_songs_keep_to_their_side() -> None:
    held_out = {w.text for w in load_lexicon(True).pools["*"].words}
    training = {w.text for w in load_lexicon(False).pools["*"].words}

    def sung(settings: CorpusSettings) -> set[str]:
        songs = [compose(seed, settings) for seed in range(60)]
        return {w.strip(".").lower() for s in songs for _, lines in s.text for line in lines for w in line.split()}

    assert not sung(CorpusSettings()) & held_out
    assert not sung(CorpusSettings(held_out=True)) & training


def test_every_template_word_is_a_closed_class_word() -> None:
    literals = {item for fragment in FRAGMENTS for item in fragment if item not in "NVJR"}
    assert literals <= set(load_lexicon(False).literal)


def test_phones_are_known_and_almost_all_pairs_are_there() -> None:
    pairs = set()
    for _, phones, _, _ in word_rows():
        names = [plain(p) for p in phones]
        assert set(names) <= set(PHONES)
        pairs |= set(zip(names, names[1:], strict=False))
    assert len(pairs) > 1200


def test_lines_have_the_syllables_asked_for() -> None:
    rng = random.Random(3)
    for wanted in (4, 7, 10):
        for _ in range(50):
            count = sum(word.syllables for word in draw_line(rng, load_lexicon(False), wanted))
            assert wanted <= count <= wanted + 5
