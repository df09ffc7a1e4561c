"""Where in a song each written phone is sung."""

from __future__ import annotations

from collections.abc import Sequence

from songbloom.evaluate.measures import edit_costs


def align(sung: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """For each item of ``wanted`` the index of the item of ``sung`` that is it, -1 where it is missing.

    Indices rise. The two are aligned with the fewest substitutions, insertions and deletions; a substituted item counts
    as missing.
    """
    cost, found = edit_costs(sung, wanted), [-1] * len(wanted)
    i, j = len(sung), len(wanted)
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
