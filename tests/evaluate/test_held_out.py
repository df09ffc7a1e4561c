from __future__ import annotations

import pytest

from songbloom.corpus.settings import STYLES, VOICES
from songbloom.corpus.structure import SECTION_NAMES
from songbloom.errors import InvalidInput
from songbloom.evaluate.held_out import held_out_lyrics, held_out_song, line_words, sung_words
from songbloom.lyrics.english import pronounce
from songbloom.lyrics.report import describe

COUNT = 24


def test_the_lyrics_file_holds_songs_a_singer_can_read():
    songs = held_out_lyrics()
    assert len(songs) == COUNT
    assert len({str(song) for song in songs}) == COUNT
    for song in songs:
        names = [name for name, _ in song]
        assert set(names) <= set(SECTION_NAMES) and {"verse", "chorus"} <= set(names)
        words = [word for _, lines in song for line in lines for word in line_words(line)]
        assert len(words) >= 30
        assert not [word for word in words if pronounce(word) is None]


@pytest.mark.parametrize("number", [0, 2, 22])
def test_model_and_corpus_sing_the_same(number):
    song = held_out_song(number)
    report = describe(song.lyrics, processor="english", max_tokens=600)
    assert report.warnings == []
    # A sung section's end is written once with and once without its full stop.
    assert report.phonemes.replace(" .", "").split() == song.score.lyrics.replace(" .", "").split()
    assert song.words == tuple(word for line in song.lyrics.split("\n") if "[" not in line for word in line_words(line))


def test_styles_and_voices_take_turns_and_equal_numbers_give_equal_songs():
    cards = [held_out_song(number).score.card for number in range(4)]
    assert [card.style for card in cards] == list(STYLES[:4])
    assert [card.voice for card in cards] == [*VOICES, next(iter(VOICES))]
    assert held_out_song(3).score.to_json() == held_out_song(3).score.to_json()


def test_after_the_lyrics_come_random_words():
    song = held_out_song(COUNT)
    assert song.words is None and song.score.held_out and song.score.phones


def test_an_unknown_word_is_named():
    with pytest.raises(InvalidInput, match="xyzzyx"):
        sung_words("Say xyzzyx")
