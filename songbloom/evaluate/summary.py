"""From songs to the numbers of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from songbloom.audio.key import relative
from songbloom.audio.tempo import same_tempo
from songbloom.evaluate.held_out import HeldOutSong
from songbloom.evaluate.judge import SongMeasures
from songbloom.evaluate.words import mean_rate, pooled_rate

LENGTH_TOLERANCE = 0.25


def summarise(asked: Sequence[HeldOutSong], songs: Sequence[SongMeasures]) -> dict[str, float | None]:
    """The measures of :data:`songbloom.evaluate.targets.MEASURES` that songs have, by name; None without any to tell.

    Args:
        asked: what each song should be.
        songs: what each is, in the same order.
    """
    pairs = list(zip(asked, songs, strict=True))
    errors = [song.errors for song in songs if song.errors is not None]
    keys = [((song.key, song.mode), want.score.key) for want, song in pairs]
    pitches = [(song.pitch, sung_pitch(want)) for want, song in pairs if song.pitch is not None]
    return {
        "wer": pooled_rate(errors),
        "wer_mean": mean_rate(errors),
        "phone_error_audio": mean(song.phone_error_audio for song in songs),
        "phone_error_sketch": mean(song.phone_error_sketch for song in songs),
        "style": mean(song.style == want.score.card.style for want, song in pairs),
        "voice": mean(song.voice == want.score.card.voice for want, song in pairs),
        "pitch_correlation": correlation(pitches),
        "tempo": mean(same_tempo(song.bpm, want.score.bpm) for want, song in pairs),
        "key": mean(found == wanted for found, wanted in keys),
        "key_or_relative": mean(found in (wanted, relative(*wanted)) for found, wanted in keys),
        "structure": mean(song.structure for song in songs),
        "chorus": mean(song.chorus for song in songs),
        "length": mean(song.ended and length_fits(want, song) for want, song in pairs),
        "ended": mean(song.ended for song in songs),
        "clean": mean(song.clean for song in songs),
        "clean_finite": mean(song.finite for song in songs),
        "clean_peak": mean(song.peak_fits for song in songs),
        "clean_silence": mean(song.without_holes for song in songs),
        "clean_loops": mean(not song.stuck for song in songs),
        "distance_corpus_db": mean(song.distance_corpus for song in songs),
        "distance_noise_db": mean(song.distance_noise for song in songs),
    }


def mean(values: Iterable[float | bool | None]) -> float | None:
    """Mean of what is not None; None if nothing is."""
    told = [float(value) for value in values if value is not None]
    return float(np.mean(told)) if told else None


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Correlation of pairs; None of fewer than three, or where one side never changes."""
    values = np.array(pairs)
    if len(values) < 3 or not values.std(0).all():
        return None
    return float(np.corrcoef(values.T)[0, 1])


def sung_pitch(want: HeldOutSong) -> float:
    """Mean MIDI note of a score's phones."""
    return float(np.mean([event.midi_pitch for event in want.score.phones]))


def length_fits(want: HeldOutSong, song: SongMeasures) -> bool:
    """Whether a song is about as long as the corpus' rendering."""
    return abs(song.seconds / want.score.duration_s - 1) <= LENGTH_TOLERANCE
