"""When each line of the lyrics is sung, for models whose tokens tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from songbloom.corpus.phones import PHONE_INDEX, plain
from songbloom.generate.lyric_path import LyricPath
from songbloom.lyrics import SectionReport
from songbloom.song import LineTime


def line_times(
    sections: Sequence[SectionReport],
    phonemes: str,
    tokens: NDArray[np.int64],
    *,
    items_of: Callable[[str], list[str]],
    frame_s: float,
) -> tuple[LineTime, ...]:
    """The lines that are sung, and sections without any, in order; a song cut short has fewer than its lyrics.

    Args:
        sections: of the lyrics.
        phonemes: all of them, as the model was given them.
        tokens: [n] (:mod:`songbloom.model.sketch_codes`).
        items_of: :meth:`songbloom.model.conditions.LyricTokenizer.items`.
        frame_s: seconds of a token.
    """
    items = items_of(phonemes)
    sung = LyricPath(items).trace(tokens.tolist())[0][1:]
    tags = iter([n for n, item in enumerate(items) if item.startswith("[")])
    phones = iter([n for n, item in enumerate(items) if plain(item) in PHONE_INDEX])
    found = []
    for section in sections:
        own_tags = list(islice(tags, max(section.tags, 1)))
        parts = [("", own_tags)] if not section.lines else []
        for line, line_phonemes in zip(section.lines, section.phonemes, strict=True):
            count = sum(plain(item) in PHONE_INDEX for item in items_of(line_phonemes))
            parts.append((line, list(islice(phones, count))))
        for line, own in parts:
            frames = np.flatnonzero((sung >= own[0]) & (sung <= own[-1])) if own else np.empty(0)
            if len(frames):
                start_s, end_s = float(frames[0]) * frame_s, float(frames[-1] + 1) * frame_s
                found.append(LineTime(section.kind, line, round(start_s, 3), round(end_s, 3)))
    return tuple(found)
