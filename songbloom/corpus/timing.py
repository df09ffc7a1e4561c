"""When each phone of a line is sung: vowels start on their notes, consonants take their natural time before.

Every phone lasts whole frames of the bundled model's tokens, and tempi are such that beats fall on quarters of them
(`on_grid`). So tokens tell exactly when a phone sounds, and a small model need not guess within a frame: predicting
latents from the tokens, that guess is most of the error.
"""

from __future__ import annotations

import random

from songbloom.corpus.phones import NATURAL_SECONDS, VOWELS, plain

FRAME_S = 0.08
EIGHTH_GRID_S = FRAME_S / 4
MIN_CONSONANT = 1
MIN_VOWEL = 1
# Consonants between two vowels take at most this share of the time between them, unless their minimum is more.
CONSONANT_SHARE = 0.5


def frames(seconds: float) -> int:
    """Nearest whole number of frames."""
    return int(seconds / FRAME_S + 0.5 + 1e-6)


def on_grid(bpm: float) -> float:
    """The nearest tempo whose eighths are a whole number of quarter frames."""
    return 30 / (EIGHTH_GRID_S * round(30 / bpm / EIGHTH_GRID_S))


def consonant_runs(symbols: list[str]) -> list[list[str]]:
    """The consonants before the first vowel, between the vowels, and after the last: one list more than vowels."""
    runs: list[list[str]] = [[]]
    for symbol in symbols:
        phone = plain(symbol)
        if phone in VOWELS:
            runs.append([])
        else:
            runs[-1].append(phone)
    return runs


def least_frames(run: list[str]) -> int:
    """The fewest frames from a vowel's onset to the next when these consonants lie between."""
    return MIN_VOWEL + MIN_CONSONANT * len(run)


def run_frames(run: list[str], room: int | None, rng: random.Random) -> list[int]:
    """Frames of each consonant of a run; with ``room``, the frames from vowel onset to vowel onset, they fit."""
    wanted = [NATURAL_SECONDS[phone] / FRAME_S * rng.uniform(0.9, 1.4) for phone in run]
    if room is not None and run:
        limit = min(room - MIN_VOWEL, max(CONSONANT_SHARE * room, MIN_CONSONANT * len(run)))
        scale = min(1.0, limit / sum(wanted))
        wanted = [value * scale for value in wanted]
    lengths = [max(MIN_CONSONANT, int(value + 0.5)) for value in wanted]
    if room is not None:
        while lengths and sum(lengths) > room - MIN_VOWEL:
            lengths[lengths.index(max(lengths))] -= 1
    return lengths


def plan_line(runs: list[list[str]], onsets: list[int], last_frames: int, rng: random.Random) -> tuple[int, list[int]]:
    """Frames of every phone of a line, in order, and the frame where the first phone starts.

    Args:
        runs: as from `consonant_runs`.
        onsets: frame of each vowel's onset, rising by at least `least_frames` of the run between.
        last_frames: frames of the last note, its vowel and last consonants together.
        rng: varies the consonants' lengths.
    """
    lead = run_frames(runs[0], None, rng)
    lengths = list(lead)
    for index, onset in enumerate(onsets):
        last = index + 1 == len(onsets)
        room = last_frames if last else onsets[index + 1] - onset
        consonants = run_frames(runs[index + 1], room, rng)
        lengths.append(room - sum(consonants))
        lengths.extend(consonants)
    return onsets[0] - sum(lead), lengths
