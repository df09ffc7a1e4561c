"""The order and length of a song's sections."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from songbloom.corpus.settings import CorpusSettings
from songbloom.corpus.words import Word

# V verse, C chorus, B bridge, I instrumental; from the shortest songs to the longest.
SKELETONS = (
    (12.0, ("V", "C")),
    (22.0, ("VC", "VV", "CV", "VB", "VIV")),
    (35.0, ("VCVC", "VCBC", "VCIC", "VIVC", "VVC", "CVC", "CIVC", "VBVC", "VC")),
    (1e9, ("VCVCBC", "VCIVC", "VBCIC", "CVCVC", "VCVCIC", "VVCIVC", "VCIBC", "CIVCBC", "VCVC")),
)
NAMES = {"V": "verse", "C": "chorus", "B": "bridge", "I": "inst"}
SECTION_NAMES = ("intro", "verse", "chorus", "bridge", "inst", "outro")
BAR = 8


class SectionPlan(NamedTuple):
    """A section to write: instrumental ones last ``eighths``; vocal ones about ``seconds``, or sing ``lines``."""

    name: str
    eighths: int
    seconds: float
    lines: tuple[tuple[Word, ...], ...] = ()


def _instrumental(name: str, seconds: float, bar_s: float) -> SectionPlan:
    return SectionPlan(name, BAR * max(1, round(seconds / bar_s)), 0.0)


def draw_structure(rng: random.Random, settings: CorpusSettings, bar_s: float) -> list[SectionPlan]:
    """Sections for a song of a length within the settings; ``bar_s`` is the length of a bar in seconds."""
    if settings.single_line:
        # A short intro of whole beats near one second.
        plans = [SectionPlan("verse", 0, 1.0)]
        if rng.random() < 0.5:
            plans.insert(0, SectionPlan("intro", 2 * max(1, round(1.0 / (bar_s / 4))), 0.0))
        return plans
    total = rng.uniform(*settings.duration_s)
    skeleton = next(rng.choice(choices) for limit, choices in SKELETONS if total < limit)
    short = total < 12
    plans = []
    if rng.random() < (0.5 if short else 0.8):
        plans.append(_instrumental("intro", rng.uniform(1.0, 2.0) if short else rng.uniform(2.0, 6.0), bar_s))
    plans += [
        _instrumental("inst", rng.uniform(2.0, 6.0), bar_s) if c == "I" else SectionPlan(NAMES[c], 0, 0.0)
        for c in skeleton
    ]
    if rng.random() < (0.4 if short else 0.85):
        plans.append(_instrumental("outro", rng.uniform(2.0, 6.0), bar_s))
    played = sum(plan.eighths for plan in plans) / BAR * bar_s
    vocal = sum(plan.eighths == 0 for plan in plans)
    share = max((total - played) / vocal, 1.0)
    return [plan if plan.eighths else plan._replace(seconds=share) for plan in plans]


def given_structure(
    rng: random.Random, lyrics: Sequence[tuple[str, Sequence[Sequence[Word]]]], bar_s: float
) -> list[SectionPlan]:
    """Sections for lyrics that are given; the instrumental ones get a length of a few seconds."""
    plans: list[SectionPlan] = []
    for name, lines in lyrics:
        if name in ("intro", "inst", "outro"):
            plans.append(_instrumental(name, rng.uniform(2.0, 5.0), bar_s))
        else:
            plans.append(SectionPlan(name, 0, 0.0, tuple(tuple(line) for line in lines)))
    return plans
