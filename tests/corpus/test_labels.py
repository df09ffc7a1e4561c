"""Labels per frame."""

import numpy as np
import pytest

from songbloom.corpus.compose import compose
from songbloom.corpus.labels import frame_borders, label_frames
from songbloom.corpus.phones import PHONES
from songbloom.errors import InvalidInput


@pytest.mark.parametrize("rate", [12.5, 25.0, 100.0])
def test_every_phone_and_gap_gets_a_frame_near_its_time(rate: float) -> None:
    for seed in range(30):
        song = compose(seed)
        labels = label_frames(song, rate)
        total = round(song.duration_s * rate)
        assert all(len(column) == total and column.dtype == np.int16 for column in labels.values())
        index = labels["lyric_index"]
        assert (np.diff(index) >= 0).all()
        assert set(index.tolist()) == {e.lyric_index for e in song.phones + song.tags}
        for event in song.phones:
            frames = np.flatnonzero(index == event.lyric_index)
            assert abs(frames[0] / rate - event.start_s) < 0.2
            assert (labels["phone"][frames] == PHONES.index(event.phone)).all()
            assert (labels["pitch"][frames] == event.midi_pitch).all()
        assert ((labels["phone"] < 0) == (labels["pitch"] < 0)).all()


def test_fine_frames_are_exact() -> None:
    song = compose(4)
    labels = label_frames(song, 40.0)
    for event in song.phones:
        frames = np.flatnonzero(labels["lyric_index"] == event.lyric_index)
        assert frames[0] == round(event.start_s * 40) and frames[-1] + 1 == round(event.end_s * 40)


def test_chords_and_beats() -> None:
    song = compose(6)
    labels = label_frames(song, 25.0)
    middle = song.chords[1]
    frame = int((middle.start_s + middle.end_s) / 2 * 25)
    assert labels["chord_root"][frame] == middle.root
    assert labels["chord_minor"][frame] == (middle.quality == "min")
    beats = labels["beat"]
    assert beats[0] == 0 and set(beats.tolist()) == {0, 1, 2, 3}
    assert beats[int(2.5 * 60 / song.bpm * 25)] == 2


def test_borders_move_as_little_as_they_can() -> None:
    # Three events crowd frame 4: the least squares spread them around it.
    assert frame_borders(np.array([0.0, 4.0, 4.1, 4.2, 9.0]), 12).tolist() == [0, 3, 4, 5, 9]
    assert frame_borders(np.array([0.0, 9.0, 9.2, 9.4]), 10).tolist() == [0, 7, 8, 9]
    assert frame_borders(np.array([0.0, 0.2, 0.4]), 10).tolist() == [0, 1, 2]


def test_more_events_than_frames_is_no_error() -> None:
    assert frame_borders(np.array([0.0, 0.5, 1.0, 1.5]), 2).tolist() == [0, 0, 1, 2]


def test_a_frame_rate_must_be_above_zero() -> None:
    with pytest.raises(InvalidInput, match="frame_rate"):
        label_frames(compose(1), 0.0)
