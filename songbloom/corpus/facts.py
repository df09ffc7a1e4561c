"""A band's card as numbers: what :mod:`songbloom.model.clip_facts` tells a model of a clip."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from songbloom.audio.key import clip_chroma
from songbloom.audio.tempo import tempo
from songbloom.corpus.score import BandCard
from songbloom.corpus.settings import STYLES, VOICES
from songbloom.corpus.timing import EIGHTH_GRID_S
from songbloom.model.clip_facts import ClipSound

FASTEST, SLOWEST = 140.0, 70.0
COUNTS = (11, 24, len(STYLES), len(VOICES))  # tempi, keys, styles, voices


def tempo_number(bpm: float) -> int:
    """Number of the corpus' nearest tempo, from the fastest down."""
    bpm = min(max(bpm, SLOWEST), FASTEST)
    return round(30 / bpm / EIGHTH_GRID_S) - round(30 / FASTEST / EIGHTH_GRID_S)


def bar_frames(number: int) -> int:
    """Token frames of a bar of that tempo."""
    return 2 * (number + round(30 / FASTEST / EIGHTH_GRID_S))


def facts_of(card: BandCard) -> tuple[int, int, int, int]:
    """Tempo, key (12 more for minor), style and voice."""
    key = card.key + 12 * (card.mode == "minor")
    return tempo_number(card.bpm), key, STYLES.index(card.style), list(VOICES).index(card.voice)


def clip_sound(audio: NDArray[np.float32], sample_rate: int) -> ClipSound:
    """What is measured in a clip [channels, n]."""
    chroma = torch.from_numpy(clip_chroma(audio, sample_rate))
    return ClipSound(tempo_number(tempo(audio, sample_rate)), chroma)
