"""The bundled model's sketch tokens: what is sung, or what is played, in one frame.

A codebook with meaning instead of a learned one: code = phone x pitch where there is voice, chord x beat where
there is none. The corpus knows both exactly, so its tokens carry words and melody without loss.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from songbloom.corpus.phones import PHONES

LOWEST, HIGHEST = 47, 76  # MIDI notes of the lowest and the highest voice
PITCHES = HIGHEST - LOWEST + 1
CHORDS, BEATS = 24, 4
VOICED = len(PHONES) * PITCHES
REST = VOICED + CHORDS * BEATS  # after the song, up to the end of its last block
NUM_CODES = REST + 1


def codes_from_labels(labels: Mapping[str, NDArray[np.int16]]) -> NDArray[np.int64]:
    """Codes [n] from frame labels (:func:`songbloom.corpus.labels.label_frames`)."""
    phone, pitch = labels["phone"].astype(np.int64), labels["pitch"].astype(np.int64)
    sung = phone * PITCHES + np.clip(pitch, LOWEST, HIGHEST) - LOWEST
    chord = labels["chord_root"].astype(np.int64) * 2 + labels["chord_minor"]
    played = VOICED + chord * BEATS + labels["beat"]
    return np.where(phone >= 0, sung, played)


def phones_of(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the phone each code [n] sings, -1 without voice."""
    return np.where(codes < VOICED, codes // PITCHES, -1)


def pitches_of(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """MIDI note each code [n] sings, -1 without voice."""
    return np.where(codes < VOICED, codes % PITCHES + LOWEST, -1)


def meaningful_init(rows: int, dim: int, *, std: float, seed: int) -> Tensor:
    """Rows [rows, dim] for the codes in which codes of one phone, pitch, chord or beat resemble each other."""
    generator = torch.Generator().manual_seed(seed)

    def table(n: int) -> Tensor:
        return torch.randn(n, dim, generator=generator)

    phones, pitches, chords, beats = table(len(PHONES)), table(PITCHES), table(CHORDS), table(BEATS)
    out = table(rows)
    sung = torch.arange(VOICED)
    out[:VOICED] = 0.75 * phones[sung // PITCHES] + 0.5 * pitches[sung % PITCHES] + 0.43 * out[:VOICED]
    played = torch.arange(CHORDS * BEATS)
    out[VOICED:REST] = 0.75 * chords[played // BEATS] + 0.5 * beats[played % BEATS] + 0.43 * out[VOICED:REST]
    return std * out
