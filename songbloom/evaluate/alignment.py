"""Where in a song each written phone is sung."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def align(sung: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """For each item of ``wanted`` the index of the item of ``sung`` that is it, -1 where it is missing.

    Indices rise. The two are aligned with the fewest substitutions, insertions and deletions; a substituted item counts
    as missing.
    """
    sung_items, wanted_items = np.asarray(sung), np.asarray(wanted)
    rows, columns = len(sung) + 1, len(wanted) + 1
    cost = np.zeros((rows, columns), np.int64)
    cost[0] = np.arange(columns)
    for i in range(1, rows):
        change = np.append(i, np.minimum(cost[i - 1, 1:] + 1, cost[i - 1, :-1] + (wanted_items != sung_items[i - 1])))
        # an item left out costs one more than the best before it: a running minimum of change - position
        cost[i] = np.minimum.accumulate(change - np.arange(columns)) + np.arange(columns)
    found = [-1] * len(wanted)
    i, j = rows - 1, columns - 1
    while i and j:
        same = sung[i - 1] == wanted[j - 1]
        if cost[i, j] == cost[i - 1, j - 1] + (not same):
            i, j = i - 1, j - 1
            if same:
                found[j] = i
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return found
