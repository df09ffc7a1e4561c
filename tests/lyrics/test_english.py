import pytest

from songbloom.lyrics import english, spelling


def test_pronounce_looks_words_up_in_any_case():
    assert english.pronounce("Hello") == ["HH", "AH0", "L", "OW1"]
    assert english.pronounce("o'clock") == ["AH0", "K", "L", "AA1", "K"]


def test_pronounce_does_not_guess():
    assert english.pronounce("songbloom") is None


def test_a_homograph_alone_is_read_as_a_noun():
    assert english.pronounce("record") == ["R", "EH1", "K", "ER0", "D"]
    assert english.pronounce("object") == ["AH0", "B", "JH", "EH1", "K", "T"]
    assert english.pronounce("USED") != english.pronounce("used")  # capitals look like a name to the tagger


@pytest.mark.parametrize(
    ("word", "phonemes"),
    [
        ("songbloom", "S AO1 NG B L UW1 M"),  # known parts
        ("songbloom's", "S AO1 NG B L UW1 M Z"),  # possessive after a voiced sound
        ("backroad's", "B AE1 K R OW1 D Z"),
        ("moonbeach's", "M UW1 N B IY1 CH AH0 Z"),  # after a hissing sound
        ("songcat's", "S AO1 NG K AE1 T S"),  # after a voiceless sound
        ("tlx", "T IY1 EH1 L EH1 K S"),  # up to three unknown letters are spelled
        ("rock'n'roll", "R AA1 K AH0 N R OW1 L"),
    ],
)
def test_words_no_dictionary_has(word, phonemes):
    assert " ".join(english.phonemize(word)) == phonemes


def test_apostrophes_at_the_edge_are_marks():
    assert english.phonemize("'girls'") == ["-", "G", "ER1", "L", "Z", "-"]


def test_accents_are_stripped_before_the_dictionary():
    assert english.phonemize("naïve") == english.phonemize("naive")


def test_spelling_network():
    assert spelling.predict("senorita") == ["S", "EH0", "N", "AO1", "R", "IY0", "AH0", "T"]
    assert spelling.predict("grooving") == ["G", "R", "UW1", "V", "IH0", "NG"]
    assert spelling.predict("it's-a-me")  # marks count as unknown letters
    assert 0 < len(spelling.predict("blorp" * 12)) <= 20


@pytest.mark.parametrize(("text", "normal"), [("y'z 5é", "y'z fivee"), ("y'" + "1" * 40, "y'" + "1" * 40)])
def test_what_no_rule_reads_is_passed_on_normalised(text, normal):
    with pytest.raises(english.Unpronounceable) as error:
        english.phonemize(text)
    assert error.value.args[0] == normal
