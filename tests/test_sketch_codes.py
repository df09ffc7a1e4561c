from __future__ import annotations

import numpy as np

from songbloom.corpus.compose import compose
from songbloom.corpus.labels import label_frames
from songbloom.corpus.phones import PHONES
from songbloom.model.sketch_codes import (
    NUM_CODES,
    REST,
    VOICED,
    codes_from_labels,
    meaningful_init,
    phones_of,
    pitches_of,
)


def test_codes_carry_words_and_melody_without_loss():
    score = compose(11)
    labels = label_frames(score, 12.5)
    codes = codes_from_labels(labels)
    assert codes.min() >= 0 and codes.max() < REST < NUM_CODES
    assert np.array_equal(phones_of(codes), labels["phone"])
    assert np.array_equal(pitches_of(codes), labels["pitch"])
    sung = phones_of(codes)[np.append(True, np.diff(labels["lyric_index"]) != 0)]
    spelled = [PHONES[p] for p in sung if p >= 0]
    assert spelled == [item.rstrip("012") for item in score.lyrics.split() if item[0].isalpha()]


def test_codes_without_voice_tell_chord_and_beat():
    labels = {
        "phone": np.array([-1, -1], np.int16),
        "pitch": np.array([-1, -1], np.int16),
        "chord_root": np.array([0, 11], np.int16),
        "chord_minor": np.array([0, 1], np.int16),
        "beat": np.array([3, 0], np.int16),
    }
    assert codes_from_labels(labels).tolist() == [VOICED + 3, VOICED + 23 * 4]


def test_codes_of_one_phone_start_alike():
    rows = meaningful_init(NUM_CODES, 64, std=1.0, seed=0)
    similarity = np.corrcoef(rows[[0, 1, 40 * 20]].numpy())
    assert similarity[0, 1] > 0.4 > abs(similarity[0, 2])
