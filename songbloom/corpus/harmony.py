"""Chords and scales of a key."""

from __future__ import annotations

import random

MAJOR_DEGREES = {"I": (0, "maj"), "ii": (2, "min"), "iii": (4, "min"), "IV": (5, "maj"), "V": (7, "maj"),
                 "vi": (9, "min"), "bVII": (10, "maj")}  # fmt: skip
MINOR_DEGREES = {"i": (0, "min"), "III": (3, "maj"), "iv": (5, "min"), "v": (7, "min"), "V": (7, "maj"),
                 "VI": (8, "maj"), "VII": (10, "maj")}  # fmt: skip
DEGREES = {"major": MAJOR_DEGREES, "minor": MINOR_DEGREES}

PROGRESSIONS = {
    "major": tuple(
        line.split()
        for line in (
            "I V vi IV", "I vi IV V", "vi IV I V", "I IV vi V", "I IV I V", "I iii IV V", "ii V I vi", "I ii IV V",
            "IV I V vi", "I V IV IV", "I bVII IV I", "vi iii IV I", "I IV V IV", "ii IV I V",
        )
    ),
    "minor": tuple(
        line.split()
        for line in (
            "i VI III VII", "i iv VII III", "i VII VI V", "i VI iv V", "i iv i V", "i III VII iv", "VI VII i i",
            "i v VI VII", "i VII i v", "iv VII III VI", "i III VI VII", "i VI VII v",
        )
    ),
}  # fmt: skip
CADENCE = {"major": (("V", "I"), ("IV", "I"), ("ii", "I")), "minor": (("V", "i"), ("iv", "i"), ("VII", "i"))}

SCALES = {
    "major": ((0, 2, 4, 5, 7, 9, 11), (0, 2, 4, 7, 9), (0, 2, 4, 5, 7, 9)),
    "minor": ((0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 3, 5, 7, 10)),
}


def chord(key: int, mode: str, degree: str) -> tuple[int, str]:
    """Root pitch class and quality of a degree."""
    offset, quality = DEGREES[mode][degree]
    return (key + offset) % 12, quality


def chord_tones(root: int, quality: str) -> frozenset[int]:
    """Pitch classes of the triad."""
    return frozenset((root, (root + (4 if quality == "maj" else 3)) % 12, (root + 7) % 12))


def draw_progression(rng: random.Random, key: int, mode: str) -> list[tuple[int, str]]:
    """Four chords, one a bar."""
    return [chord(key, mode, degree) for degree in rng.choice(PROGRESSIONS[mode])]


def draw_cadence(rng: random.Random, key: int, mode: str) -> list[tuple[int, str]]:
    """Two chords that close a song; the last is the tonic."""
    return [chord(key, mode, degree) for degree in rng.choice(CADENCE[mode])]
