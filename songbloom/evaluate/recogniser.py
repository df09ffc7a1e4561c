"""Which phones a song sings, told by the bundled sketch tokenizer from the audio of any model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from songbloom.audio import resample
from songbloom.checkpoints.load import load_folder
from songbloom.checkpoints.registry import BUNDLED_FOLDER
from songbloom.evaluate.measures import edit_distance, runs
from songbloom.model.sketch_codes import phones_of
from songbloom.train.sketch_tokenizer import load_tokenizer


class Recogniser:
    """Encodes audio with the bundled VAE and reads the phones off its tokens. It was trained on corpus songs only."""

    def __init__(self, folder: Path = BUNDLED_FOLDER / "songbloom_mini") -> None:
        self.vae = load_folder(folder).vae
        self.tokenizer = load_tokenizer(folder)

    @torch.no_grad()
    def phones(self, audio: NDArray[np.float32], sample_rate: int) -> list[int]:
        """Indices of the phones sung in ``audio`` [2, n], repetitions dropped."""
        waveform = torch.from_numpy(resample(audio, sample_rate, self.vae.sample_rate))[None]
        codes = self.tokenizer.encode(self.vae.encode(waveform)[0])[0].numpy()
        return sung_phones(codes)


def sung_phones(codes: NDArray[np.int64]) -> list[int]:
    """Indices of the phones a token sequence [n] sings, repetitions and frames without voice dropped."""
    return runs([int(phone) for phone in phones_of(codes) if phone >= 0])


def phone_error_rate(sung: Sequence[int], wanted: Sequence[int]) -> float:
    """Edit distance over the length of what should be sung."""
    return edit_distance(sung, wanted) / max(len(wanted), 1)
