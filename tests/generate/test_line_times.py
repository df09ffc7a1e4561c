"""When lines are sung, against the scores the tokens were made from."""

from __future__ import annotations

import numpy as np
import pytest

from songbloom.evaluate.held_out import held_out_song
from songbloom.generate.line_times import line_times
from songbloom.lyrics import describe
from songbloom.model.conditions import LyricTokenizer
from songbloom.train.examples import example_from_score
from songbloom.train.mini import vocabulary

FRAME_S = 0.08


@pytest.mark.parametrize("number", [1, 25])
def test_lines_are_told_to_the_frame(number):
    song = held_out_song(number)
    report = describe(song.lyrics, processor="english")
    tokens = example_from_score(song.score, 1 / FRAME_S, 16).tokens
    items_of = LyricTokenizer(vocabulary()).items
    found = line_times(report.sections, report.phonemes, tokens, items_of=items_of, frame_s=FRAME_S)
    phones = song.score.phones
    true = [(phones[line.first_phone].start_s, phones[line.end_phone - 1].end_s) for line in song.score.lines]
    sung = [line for line in found if line.line]
    assert [line.line for line in sung] == [line.rstrip(".") for _, lines in song.score.text for line in lines]
    assert np.abs(np.array([(line.start_s, line.end_s) for line in sung]) - np.array(true)).max() <= FRAME_S
    without_words = [name for name, lines in song.score.text if not lines]
    assert [line.section for line in found if not line.line] == without_words
    cut = line_times(report.sections, report.phonemes, tokens[:100], items_of=items_of, frame_s=FRAME_S)
    assert 0 < len(cut) < len(found) and cut[:-1] == found[: len(cut) - 1]
