"""Labels per frame from a score, at any frame rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from songbloom.corpus.phones import PHONE_INDEX
from songbloom.corpus.score import Score
from songbloom.errors import InvalidInput


def label_frames(score: Score, frame_rate: float) -> dict[str, NDArray[np.int16]]:
    """What sounds in each frame; frame ``t`` spans ``t / frame_rate`` to ``(t + 1) / frame_rate`` seconds.

    Every phone and every gap gets a frame of its own whenever the song has enough of them: borders between
    events move to whole frames so that each event keeps one frame and the sum of squared moves is least
    (isotonic regression). Chords and beats are taken at the frames' centres.

    Args:
        score: the song.
        frame_rate: frames a second, above 0.

    Returns:
        int16 arrays of ``round(duration_s * frame_rate)`` frames:
        ``phone`` index into `songbloom.corpus.phones.PHONES`, -1 without voice; ``pitch`` MIDI note, -1 without
        voice; ``chord_root`` 0-11; ``chord_minor`` 0 or 1; ``beat`` 0-3, the beat of its bar;
        ``lyric_index`` index into the items of ``score.lyrics``.

    Raises:
        InvalidInput: ``frame_rate`` is not above 0.
    """
    if not frame_rate > 0:
        raise InvalidInput("frame_rate", frame_rate, "must be above 0.")
    total = max(1, round(score.duration_s * frame_rate))
    events = sorted(
        [(e.start_s, PHONE_INDEX[e.phone], e.midi_pitch, e.lyric_index) for e in score.phones]
        + [(e.start_s, -1, -1, e.lyric_index) for e in score.tags]
    )
    starts, phone, pitch, lyric = (np.array(column) for column in zip(*events, strict=True))
    borders = frame_borders(starts * frame_rate, total)
    lengths = np.diff(np.append(borders, total))
    centres = (np.arange(total) + 0.5) / frame_rate
    chord_starts = np.array([chord.start_s for chord in score.chords])
    chord = np.clip(np.searchsorted(chord_starts, centres, side="right") - 1, 0, None)
    beats = np.floor(centres * score.bpm / 60 + 1e-6)
    columns = {
        "phone": np.repeat(phone, lengths),
        "pitch": np.repeat(pitch, lengths),
        "chord_root": np.array([c.root for c in score.chords])[chord],
        "chord_minor": np.array([c.quality == "min" for c in score.chords])[chord],
        "beat": beats % score.beats_per_bar,
        "lyric_index": np.repeat(lyric, lengths),
    }
    return {name: values.astype(np.int16) for name, values in columns.items()}


def frame_borders(starts: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """First frame of each event.

    Args:
        starts: rising start times in frames ``[events]``; the first event starts at frame 0.
        total: number of frames.

    Returns:
        Rising whole numbers ``[events]`` from 0, each at least one above the one before and the last below
        ``total``, nearest to ``starts`` in the sum of squares; with more events than frames, plainly rounded.
    """
    count = len(starts)
    if count > total:
        return np.minimum(np.round(starts), total).astype(np.int64)
    order = np.arange(count)
    fitted = _isotonic(starts - order)
    slack = np.clip(np.floor(fitted + 0.5).astype(np.int64), 0, total - count)
    slack[0] = 0
    return slack + order


def _isotonic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The non-decreasing sequence nearest to ``values`` in the sum of squares, by pooling adjacent violators."""
    sums: list[float] = []
    sizes: list[int] = []
    for value in values.tolist():
        size = 1
        while sums and sums[-1] * size > value * sizes[-1]:
            value += sums.pop()
            size += sizes.pop()
        sums.append(value)
        sizes.append(size)
    return np.repeat(np.array(sums) / np.array(sizes), sizes)
