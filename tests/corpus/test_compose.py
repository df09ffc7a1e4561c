"""The composed score: determinism, labels in order, lyrics in the published form, structure."""

import random
import re

import pytest

from songbloom.corpus.compose import compose
from songbloom.corpus.phones import PHONES, VOWELS, plain
from songbloom.corpus.score import Score
from songbloom.corpus.settings import STYLES, VOICES, CorpusSettings
from songbloom.corpus.timing import FRAME_S
from songbloom.corpus.words import Word
from songbloom.errors import InvalidInput

SONGS = [compose(seed, CorpusSettings(duration_s=(6.0, 60.0))) for seed in range(40)]
SONGS += [compose(seed, CorpusSettings(single_line=True)) for seed in range(20)]


def test_equal_seeds_give_equal_songs_and_others_do_not() -> None:
    assert compose(11) == compose(11)
    assert compose(11).lyrics != compose(12).lyrics
    assert compose(11).lyrics != compose(11, CorpusSettings(held_out=True)).lyrics


def test_the_random_state_of_the_program_has_no_part_in_it() -> None:
    random.seed(1)
    first = compose(5)
    random.seed(2)
    assert compose(5) == first


def test_a_card_gives_the_same_band_and_another_song() -> None:
    first = compose(1)
    second = compose(2, card=first.card)
    assert second.card == first.card
    assert second.lyrics != first.lyrics
    assert [n.midi_pitch for n in second.notes] != [n.midi_pitch for n in first.notes]


@pytest.mark.parametrize("song", SONGS, ids=lambda s: str(s.seed))
def test_every_moment_has_one_lyric_item(song: Score) -> None:
    items = song.lyrics.split()
    for event in song.phones:
        assert plain(items[event.lyric_index]) == event.phone
    for event in song.tags:
        assert not items[event.lyric_index][0].isalpha() and items[event.lyric_index] != ","
    spans = sorted([(e.start_s, e.end_s, e.lyric_index) for e in song.phones + song.tags])
    assert spans[0][0] == 0
    assert spans[-1][1] == pytest.approx(song.duration_s)
    for (_, end, item), (start, after, following) in zip(spans, spans[1:], strict=False):
        assert start == pytest.approx(end, abs=2e-4)
        assert after > start and following > item
    assert [e.lyric_index for e in song.phones] == [i for i, item in enumerate(items) if plain(item) in PHONES]


@pytest.mark.parametrize("song", SONGS[:20], ids=lambda s: str(s.seed))
def test_consonants_have_time_and_vowels_start_on_their_notes(song: Score) -> None:
    assert min(e.end_s - e.start_s for e in song.phones if e.phone not in VOWELS) > 0.079
    vowels = [e for e in song.phones if e.phone in VOWELS]
    assert [e.start_s for e in vowels] == [n.start_s for n in song.notes]
    assert [e.midi_pitch for e in vowels] == [n.midi_pitch for n in song.notes]
    voice = VOICES[song.card.voice]
    assert all(voice.lowest <= n.midi_pitch <= voice.highest and 47 <= n.midi_pitch <= 76 for n in song.notes)
    eighth = 30 / song.bpm
    for note in song.notes:
        assert abs(note.start_s / eighth - round(note.start_s / eighth)) * eighth < 0.041


@pytest.mark.parametrize("song", SONGS[:20], ids=lambda s: str(s.seed))
def test_phones_last_whole_frames_and_bars_too(song: Score) -> None:
    times = [t for e in song.phones for t in (e.start_s, e.end_s)] + [240 / song.bpm]
    assert max(abs(t / FRAME_S - round(t / FRAME_S)) for t in times) < 1e-3


def test_lyrics_have_the_published_form() -> None:
    section = (
        r"\[(?:intro|inst|outro)\](?: \[(?:intro|inst|outro)\])*|\[(?:verse|chorus|bridge)\](?: [A-Z]+[012]?| \.)+ \."
    )
    for song in SONGS:
        assert re.fullmatch(rf"(?:{section})(?: , (?:{section}))*", song.lyrics), song.lyrics


def test_instrumental_tags_stand_for_about_a_second_each() -> None:
    for song in SONGS:
        counts = [part.split().count(part.split()[0]) for part in song.lyrics.split(" , ")]
        for section, count in zip(song.sections, counts, strict=True):
            if section.name in ("intro", "inst", "outro"):
                assert count == max(1, round(section.end_s - section.start_s))


def test_a_song_ends_on_its_tonic_and_rings() -> None:
    for song in SONGS:
        assert song.chords[-1].root == song.card.key
        assert song.duration_s - song.phones[-1].end_s > 0.9
        if song.sections[-1].name != "outro":
            assert song.notes[-1].midi_pitch % 12 == song.card.key


def test_a_chorus_comes_back_with_words_and_melody() -> None:
    song = next(s for s in SONGS if [n for n, *_ in s.sections].count("chorus") > 1)
    words = [lines for name, lines in song.text if name == "chorus"]
    assert words[0] == words[1]
    spans = [(s.start_s, s.end_s) for s in song.sections if s.name == "chorus"]
    melodies = [[n.midi_pitch for n in song.notes if a - 1e-6 <= n.start_s < b] for a, b in spans]
    # The very last note may move to the tonic.
    assert melodies[0][:-1] == melodies[1][:-1] and len(melodies[0]) > 3


def test_lengths_stay_near_the_limits_asked_for() -> None:
    for seed in range(60):
        assert 14 < compose(seed, CorpusSettings(duration_s=(20.0, 40.0))).duration_s < 46
        assert compose(seed, CorpusSettings(single_line=True)).duration_s < 13


def test_all_styles_voices_and_keys_occur() -> None:
    cards = [compose(seed).card for seed in range(200)]
    assert {c.style for c in cards} == set(STYLES)
    assert {c.voice for c in cards} == set(VOICES)
    assert {c.key for c in cards} == set(range(12))
    assert {c.mode for c in cards} == {"major", "minor"}
    assert min(c.bpm for c in cards) < 80 and max(c.bpm for c in cards) > 130


def test_a_score_survives_json() -> None:
    assert Score.from_json(SONGS[3].to_json()) == SONGS[3]


def test_given_lyrics_are_sung() -> None:
    line = [Word("hello", ("HH", "AH0", "L", "OW1"), 2), Word("world", ("W", "ER1", "L", "D"), 1)]
    song = compose(1, lyrics=[("intro", []), ("verse", [line, line]), ("chorus", [line])])
    assert song.text == [
        ("intro", []),
        ("verse", ["Hello world.", "Hello world."]),
        ("chorus", ["Hello world."]),
    ]
    assert song.lyrics.endswith("[chorus] HH AH0 L OW1 W ER1 L D .")


@pytest.mark.parametrize(
    "lyrics", [[("intro", [])], [("solo", [])], [("verse", [])], [("verse", [[Word("hm", ("HH", "M"), 0)]])]]
)
def test_lyrics_that_cannot_be_sung_are_refused(lyrics: list) -> None:
    with pytest.raises(InvalidInput, match="lyrics"):
        compose(1, lyrics=lyrics)


@pytest.mark.parametrize(
    "wrong",
    [
        {"duration_s": (40.0, 20.0)},
        {"duration_s": (float("nan"), 20.0)},
        {"bpm": (30.0, 90.0)},
        {"styles": ()},
        {"styles": ("polka",)},
        {"voices": ("nobody",)},
        {"vocal_db": (0.0, 99.0)},
    ],
)
def test_settings_out_of_bounds_are_refused(wrong: dict) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        CorpusSettings(**wrong)
