from __future__ import annotations

import torch

from songbloom.generate.noise import SongNoise


def test_each_draw_depends_on_seed_purpose_and_block_alone():
    first, again, other = SongNoise(5), SongNoise(5), SongNoise(6)
    again.flow(0, (4, 8))  # an earlier draw must not matter
    assert torch.equal(first.flow(3, (4, 8)), again.flow(3, (4, 8)))
    assert torch.equal(first.tokens(3, (4, 8)), again.tokens(3, (4, 8)))
    assert not torch.equal(first.flow(3, (4, 8)), first.flow(4, (4, 8)))
    assert not torch.equal(first.flow(3, (4, 8)), other.flow(3, (4, 8)))
    assert not torch.equal(first.prompt((4, 8)), first.flow(0, (4, 8)))


def test_largest_seed():
    assert torch.isfinite(SongNoise(2**63 - 1).flow(1000, (2, 2))).all()
