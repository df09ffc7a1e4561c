"""Readers of key, style and voice learn from a store's clips."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from songbloom.model.clip_facts import CHROMA, ClipFacts
from songbloom.train import readers
from songbloom.train.examples import SongStore

COUNTS, LATENTS = (3, 24, 4, 2), 6


@pytest.fixture
def store(tmp_path) -> SongStore:
    """Clips whose latents tell style and voice, and whose notes are those of a chord on the key's tonic."""
    rng, rows = np.random.default_rng(0), []
    for number in range(240):
        key, style, voice = number % 24, number // 2 % 4, number // 3 % 2
        mean = np.eye(LATENTS)[style] + 2 * voice
        chord = np.isin(np.arange(12), [(key + step) % 12 for step in ((0, 4, 7) if key < 12 else (0, 3, 7))])
        chroma = chord / 3 + 0.05 * rng.random((CHROMA, 12))
        clip = mean[:, None] + 0.1 * rng.standard_normal((LATENTS, 40))
        arrays = {"clip": clip.astype(np.float16), "chroma": chroma.astype(np.float32)}
        np.savez(tmp_path / f"{number}.npz", facts=np.array([0, key, style, voice]), **arrays)
        rows.append(json.dumps({"file": f"{number}.npz", "pair": str(number // 2)}))
    (tmp_path / "index.jsonl").write_text("\n".join(rows))
    return SongStore(tmp_path)


def test_readers_learn_and_are_left_alone_then(store):
    facts = ClipFacts(COUNTS, LATENTS, dim=8)
    tables = [table.weight.clone() for table in facts.tables]
    assert min(readers.fit_readers(facts, store).values()) > 0.9
    assert all(torch.equal(table.weight, before) for table, before in zip(facts.tables, tables, strict=True))
    assert not any(p.requires_grad for part in (facts.band, facts.key) for p in part.parameters())
    assert all(table.weight.requires_grad for table in facts.tables)


def test_the_same_store_makes_the_same_readers(store, monkeypatch):
    monkeypatch.setattr(readers, "STEPS", 10)
    made = [ClipFacts(COUNTS, LATENTS, dim=8) for _ in range(2)]
    made[1].load_state_dict(made[0].state_dict())
    for facts in made:
        readers.fit_readers(facts, store)
    assert torch.equal(made[0].key[0].weight, made[1].key[0].weight)
