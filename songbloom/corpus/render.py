"""From a score to sound."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from songbloom.corpus.band import play
from songbloom.corpus.mix import mix, upsample
from songbloom.corpus.score import Score
from songbloom.corpus.singer import Singer
from songbloom.corpus.tones import SAMPLE_RATE, ToneBank

Floats = NDArray[np.float32]


class Stems(NamedTuple):
    """Voice and band as they sound in the mix, float32 ``[2, samples]`` at 48 kHz each; the song is their sum."""

    voice: Floats
    band: Floats


class Studio:
    """A singer and the instruments, kept from song to song. Not for several threads at once.

    Args:
        singer: to share one; else one is loaded at the first song.
    """

    def __init__(self, singer: Singer | None = None) -> None:
        self._singer = singer
        self._bank = ToneBank()

    def stems(self, score: Score) -> Stems:
        """Voice and band of a song."""
        if self._singer is None:
            self._singer = Singer()
        band = play(score, self._bank)
        voice = upsample(self._singer.sing(score), band.shape[1])
        card = score.card
        return Stems(*mix(voice, band, card.vocal_db, card.reverb, card.brightness, fade_s=0.6))

    def render(self, score: Score) -> Floats:
        """The song, float32 ``[2, samples]`` at 48 kHz, -16 LUFS, peak below -1 dBFS."""
        voice, band = self.stems(score)
        return voice + band


def render(score: Score, studio: Studio | None = None) -> Floats:
    """The song, float32 ``[2, samples]`` at 48 kHz. Give a `Studio` when rendering several.

    Raises:
        NotAvailable: the packages of the extra ``corpus`` are missing.
    """
    return (studio or Studio()).render(score)


__all__ = ["SAMPLE_RATE", "Stems", "Studio", "render"]
