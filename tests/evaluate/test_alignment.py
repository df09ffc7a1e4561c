from __future__ import annotations

import pytest

from songbloom.evaluate.alignment import align
from songbloom.evaluate.measures import edit_distance


@pytest.mark.parametrize(
    ("sung", "wanted", "found"),
    [
        ([1, 2, 3], [1, 2, 3], [0, 1, 2]),
        ([1, 9, 2, 3], [1, 2, 3], [0, 2, 3]),
        ([1, 3], [1, 2, 3], [0, -1, 1]),
        ([1, 9, 3], [1, 2, 3], [0, -1, 2]),
        ([], [1, 2], [-1, -1]),
        ([1, 2], [], []),
    ],
)
def test_each_wanted_item_finds_its_place(sung, wanted, found):
    assert align(sung, wanted) == found


def test_it_misses_no_more_than_the_edit_distance():
    sung, wanted = [1, 2, 1, 3, 2, 2, 1, 4], [2, 1, 3, 3, 2, 1, 1, 4]
    found = align(sung, wanted)
    kept = [k for k in found if k >= 0]
    assert kept == sorted(set(kept))
    assert all(sung[k] == w for k, w in zip(found, wanted, strict=True) if k >= 0)
    assert found.count(-1) <= edit_distance(sung, wanted)
