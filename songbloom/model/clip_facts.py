"""What a clip says outright: tempo, key, style and voice, told to a small model as such.

A small model does not learn to hear them in latents as an aside; so tempo is measured (:mod:`songbloom.audio.tempo`),
key, style and voice are read by readers of two layers, trained beforehand, and each is one row of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CHROMA = 4  # kinds of pitch-class profiles a key is read from, each of 12
KEY_HIDDEN = 48


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
        self.key = nn.Sequential(nn.Linear(12 * CHROMA, KEY_HIDDEN), nn.SiLU(), nn.Linear(KEY_HIDDEN, 2))
        for reader in (self.band, self.key):
            reader.requires_grad_(False)  # trained apart (songbloom.train.readers)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(2 * latent_dim + 12 * CHROMA))
        self.register_buffer("deviation", torch.ones(2 * latent_dim + 12 * CHROMA))

    def forward(self, facts: Tensor) -> Tensor:
        """The embedding [D] of facts [4]."""
        return torch.stack([table(fact) for table, fact in zip(self.tables, facts, strict=True)]).sum(0)

    def timbre(self, facts: Tensor) -> Tensor:
        """The same for the refiner, [D]."""
        return self.timbre_projection(self(facts))

    @property
    def readers(self) -> list[nn.Parameter]:
        """Weights of the readers, which are fitted apart from all other training (:mod:`songbloom.train.readers`)."""
        return [*self.band.parameters(), *self.key.parameters()]

    @property
    def measured(self) -> bool:
        """Whether the readers' inputs are known, as they are once the readers have been trained."""
        return bool((self.deviation != 1).any())

    @staticmethod
    def statistics(clips: Sequence[Tensor]) -> Tensor:
        """Mean and deviation of clips' latents, each [L, F]: [B, 2 L]."""
        return torch.stack([torch.cat([clip.mean(1), clip.std(1)]) for clip in clips])

    @staticmethod
    def turned(chroma: Tensor) -> Tensor:
        """Profiles [B, CHROMA, 12] turned to each tonic, [B, 12, CHROMA * 12]."""
        return torch.stack([chroma.roll(-tonic, -1) for tonic in range(12)], dim=1).flatten(2)

    def measure(self, statistics: Tensor, turned: Tensor) -> None:
        """Take the mean and deviation of inputs, by which the readers' inputs are scaled."""
        means = [x.mean(0) for x in (statistics, turned.flatten(0, 1))]
        deviations = [x.std(0, correction=0) for x in (statistics, turned.flatten(0, 1))]
        self.mean.copy_(torch.cat(means))
        self.deviation.copy_(torch.cat(deviations).clamp_min(1e-3))

    def logits(self, statistics: Tensor, turned: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of key [B, 24], style and voice, of what the two methods above make of clips.

        The key's are the same function of the profiles for each tonic.
        """
        split = statistics.shape[1]
        dtype = self.mean.dtype
        statistics = (statistics.to(dtype) - self.mean[:split]) / self.deviation[:split]
        turned = (turned.to(dtype) - self.mean[split:]) / self.deviation[split:]
        style, voice = self.band(statistics).split(self.counts[2:], dim=1)
        return self.key(turned).transpose(1, 2).flatten(1), style, voice

    @torch.no_grad()
    def read(self, latents: Tensor, sound: ClipSound) -> Tensor:
        """The facts [4] int64 of a clip's latents [L, F] and sound."""
        device = self.mean.device
        statistics, turned = self.statistics([latents.to(device)]), self.turned(sound.chroma[None].to(device))
        tempo = torch.tensor([sound.tempo], device=device)
        return torch.cat([tempo, *(logits.argmax(1) for logits in self.logits(statistics, turned))])
