"""Training of the readers that tell a clip's key, style and voice (:mod:`songbloom.model.clip_facts`): seconds."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from songbloom.model.clip_facts import ClipFacts
from songbloom.train.examples import SongStore

log = logging.getLogger(__name__)

STEPS, LEARNING_RATE, WEIGHT_DECAY = 300, 0.01, 0.05
HELD_OUT = 10  # one pair of songs in so many is not learned from, but tells how well the readers do


def fit_readers(facts: ClipFacts, store: SongStore, seed: int = 0) -> dict[str, float]:
    """Fit the readers to the store's clips and freeze them; shares of held-out clips they tell right."""
    torch.manual_seed(seed)
    clips = [np.load(file) for files in store.pairs.values() for file in files]
    held_out = torch.tensor([n % HELD_OUT == 0 for n, files in enumerate(store.pairs.values()) for _ in files])
    learned = held_out if held_out.all() else ~held_out  # a store of one pair is all there is
    latents = [torch.from_numpy(clip["clip"].astype(np.float32)) for clip in clips]
    chroma = torch.from_numpy(np.stack([clip["chroma"] for clip in clips]))
    wanted = torch.from_numpy(np.stack([clip["facts"] for clip in clips]))[:, 1:]
    device = next(facts.parameters()).device
    inputs = (facts.statistics(latents).to(device), facts.turned(chroma).to(device), wanted.to(device))
    readers = facts.readers
    for parameter in readers:
        parameter.requires_grad_(True)
    facts.measure(*(x[learned] for x in inputs[:2]))
    optimizer = torch.optim.AdamW(readers, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, STEPS)
    for _ in range(STEPS):
        statistics, turned, true = (x[learned] for x in inputs)
        losses = [F.cross_entropy(*pair) for pair in zip(facts.logits(statistics, turned), true.T, strict=True)]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
        schedule.step()
    for parameter in readers:
        parameter.requires_grad_(False)
    told = dict(zip(("key", "style", "voice"), _right(facts, *(x[held_out] for x in inputs)), strict=True))
    log.info("told right of %d clips: %s", int(held_out.sum()), told)
    return told


@torch.no_grad()
def _right(facts: ClipFacts, statistics: Tensor, turned: Tensor, wanted: Tensor) -> list[float]:
    found = facts.logits(statistics, turned)
    return [float((logits.argmax(1) == true).float().mean()) for logits, true in zip(found, wanted.T, strict=True)]
