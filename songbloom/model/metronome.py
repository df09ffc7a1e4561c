"""The beat: a song begins on a bar and keeps its tempo, so where in its bar each frame lies is known beforehand.

Told to a small model, drums need not be guessed from what was played before. The place in the bar is given as cosines
and sines of its multiples, as positions are in Vaswani et al. 2017 (arXiv:1706.03762, 3.5).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

HARMONICS = 16  # of the bar: up to its semiquavers


def bar_phases(bar: int) -> Tensor:
    """Each of a bar's ``bar`` frames as cosines and sines, [bar, 2 * HARMONICS]."""
    angles = 2 * math.pi / bar * torch.arange(bar)[:, None] * torch.arange(1, HARMONICS + 1)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Metronome(nn.Module):
    """What the language model is told of the frame to come, and the refiner of each frame."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.coming = nn.Linear(2 * HARMONICS, dim, bias=False)
        self.sounding = nn.Linear(2 * HARMONICS, dim, bias=False)

    def forward(self, bar: int) -> tuple[Tensor, Tensor]:
        """For each frame of a bar of ``bar`` frames what either is told, both [bar, D]."""
        phases = bar_phases(bar).to(self.coming.weight)
        return self.coming(phases), self.sounding(phases)
