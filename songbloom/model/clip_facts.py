"""What a clip says outright: tempo, key, style and voice, told to a small model as such.

A small model does not learn to hear them in latents as an aside; so tempo is measured (:mod:`songbloom.audio.tempo`),
key, style and voice are read by linear and two-layer readers, and each is one row of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CHROMA = 4  # kinds of pitch-class profiles a key is read from, each of 12


@dataclass(frozen=True)
class ClipSound:
    """What is measured in a clip's audio: number of its ``tempo``, and ``chroma`` [CHROMA, 12]."""

    tempo: int
    chroma: Tensor


class ClipFacts(nn.Module):
    """Reads facts from clips, and embeds them: (tempo, key, style, voice), each counted from 0.

    A key is the tonic's pitch class (C is 0), 12 more for minor.

    Args:
        counts: of tempi, keys (24), styles and voices.
    """

    def __init__(self, counts: Sequence[int], latent_dim: int, dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.counts = tuple(counts)
        self.tables = nn.ModuleList(nn.Embedding(count, dim) for count in counts)
        self.timbre_projection = nn.Linear(dim, dim, bias=False)
        self.band = nn.Sequential(
            nn.Linear(2 * latent_dim, hidden), nn.SiLU(), nn.Linear(hidden, sum(self.counts[2:]))
        )
        self.key = nn.Linear(12 * CHROMA, 2)

    def forward(self, facts: Tensor) -> Tensor:
        """The embedding [D] of facts [4]."""
        return torch.stack([table(fact) for table, fact in zip(self.tables, facts, strict=True)]).sum(0)

    def timbre(self, facts: Tensor) -> Tensor:
        """The same for the refiner, [D]."""
        return self.timbre_projection(self(facts))

    def logits(self, latents: Tensor | Sequence[Tensor], chroma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of key, style and voice of clips' latents [B, L, F] or B times [L, F], and chroma [B, CHROMA, 12].

        The key's are the same function of the profiles turned to each tonic.
        """
        weight = self.key.weight.dtype
        statistics = torch.stack([torch.cat([clip.mean(1), clip.std(1)]) for clip in latents]).to(weight)
        turned = torch.stack([chroma.roll(-tonic, -1) for tonic in range(12)], dim=1)
        key = self.key(turned.flatten(2).to(weight)).transpose(1, 2).flatten(1)
        style, voice = self.band(statistics).split(self.counts[2:], dim=1)
        return key, style, voice

    @torch.no_grad()
    def read(self, latents: Tensor, sound: ClipSound) -> Tensor:
        """The facts [4] int64 of a clip's latents [L, F] and sound."""
        device = self.key.weight.device
        key, style, voice = self.logits(latents[None].to(device), sound.chroma[None].to(device))
        tempo = torch.tensor([sound.tempo], device=device)
        return torch.cat([tempo, *(logits.argmax(1) for logits in (key, style, voice))])
