"""Where in its lyrics a song is, and which sketch tokens go on from there.

For models whose tokens say what is sung (:mod:`songbloom.model.sketch_codes`). The lyrics are a line of phones and
pauses, and a song walks along it: the language model decides when to go on and on which note, but can leave no phone
out, sing none twice and not end early. That is constrained decoding by a finite automaton (Koo et al. 2024,
arXiv:2407.08103). Where it is, is told to the language model too (``NetConfig.cursor``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from songbloom.corpus.phones import PHONE_INDEX, PHONES, VOWELS, plain
from songbloom.model.sketch_codes import NUM_CODES, PITCHES, REST, VOICED

PAUSE, END = len(PHONES), len(PHONES) + 1
SEPARATOR = ","
# Frames, as the corpus sings. A pause may last 4 s; of two in a row the first has its second.
LONGEST_CONSONANT, LONGEST_VOWEL, LONGEST_PAUSE = 1, 15, 50
FIRST_PAUSE = 12
NOWHERE = -1


class Node(NamedTuple):
    """A stretch of one kind (a phone, PAUSE or END) of ``least`` to ``most`` frames, for a lyric item."""

    kind: int
    item: int
    least: int
    most: int


class Place(NamedTuple):
    """Where a song is: for ``held`` frames in the node of that number; node -1 is before the song."""

    node: int
    held: int


def _kinds() -> Tensor:
    """What each code says: a phone, PAUSE or END; [NUM_CODES + 1], the last is EOS."""
    code = torch.arange(NUM_CODES + 1)
    kinds = torch.where(code < VOICED, code // PITCHES, PAUSE)
    return torch.where(code >= REST, END, kinds)


KINDS = _kinds()
_KIND_OF: list[int] = KINDS.tolist()


class LyricPath:
    """The walk through one song's lyrics.

    Args:
        items: of the lyrics, as :meth:`songbloom.model.conditions.LyricTokenizer.items` gives them.
    """

    def __init__(self, items: Sequence[str]) -> None:
        self.length = len(items)
        self.nodes = [*_nodes(items), Node(END, NOWHERE, 1, 1)]

    def begin(self) -> Place:
        return Place(-1, 0)

    def item(self, place: Place | None) -> int:
        """The lyric item of a place, NOWHERE after the end or off the path."""
        return NOWHERE if place is None else self.nodes[max(place.node, 0)].item

    def step(self, place: Place | None, token: int) -> Place | None:
        """The place after one more frame; None off the path. Pauses may be left early here."""
        if place is None:
            return None
        number, kind = place.node, _KIND_OF[token]
        if number >= 0 and self.nodes[number].kind == kind:
            full = place.held >= self.nodes[number].most and kind != END
            if not full or self.nodes[number + 1].kind != kind:
                return Place(number, place.held + 1)
        number += 1
        while number < len(self.nodes) and self.nodes[number].kind == PAUSE != kind:
            number += 1
        return Place(number, 1) if number < len(self.nodes) and self.nodes[number].kind == kind else None

    def trace(self, tokens: Iterable[int]) -> tuple[NDArray[np.int64], Place | None]:
        """The lyric item before the song and at each of ``tokens``, [1 + n], and the last place."""
        place: Place | None = self.begin()
        items = [self.item(place)]
        for token in tokens:
            place = self.step(place, token)
            items.append(self.item(place))
        return np.array(items, np.int64), place

    def allowed(self, place: Place | None) -> Tensor:
        """The codes that go on from a place, [NUM_CODES + 1] bool; all of them off the path."""
        if place is None:
            return torch.ones_like(KINDS, dtype=torch.bool)
        open_kinds = [self.nodes[min(place.node + 1, len(self.nodes) - 1)].kind]
        if place.node >= 0:
            node = self.nodes[place.node]
            if place.held < node.least:
                open_kinds = []
            if place.held < node.most:
                open_kinds.append(node.kind)
        return torch.isin(KINDS, torch.tensor(open_kinds))


def _nodes(items: Sequence[str]) -> list[Node]:
    nodes: list[Node] = []
    heard = [(number, plain(item)) for number, item in enumerate(items) if item != SEPARATOR]
    for (number, phone), (_, following) in zip(heard, [*heard[1:], (NOWHERE, "")], strict=True):
        before = nodes[-1].kind if nodes else END
        kind = PHONE_INDEX.get(phone, PAUSE)
        if kind == PAUSE:
            if following not in PHONE_INDEX:
                nodes.append(Node(PAUSE, number, 1, FIRST_PAUSE))
            elif before != PAUSE:
                nodes.append(Node(PAUSE, number, 1, LONGEST_PAUSE))
            else:  # a section's tag after another pause and before its words has no time of its own
                nodes[-1] = nodes[-1]._replace(most=LONGEST_PAUSE)
        elif phone in VOWELS and before == kind:  # tokens do not tell where the second begins
            nodes[-1] = nodes[-1]._replace(least=nodes[-1].least + 1, most=nodes[-1].most + LONGEST_VOWEL)
        else:
            nodes.append(Node(kind, number, 1, LONGEST_VOWEL if phone in VOWELS else LONGEST_CONSONANT))
    if nodes and nodes[-1].kind == PAUSE:
        nodes[-1] = nodes[-1]._replace(most=LONGEST_PAUSE)
    return nodes


def allowed_codes(paths: Sequence[LyricPath | None], places: Sequence[Place | None]) -> Tensor | None:
    """The codes each song may go on with, [songs, V] bool; None where no song has a path."""
    if not any(paths):
        return None
    free = torch.ones(NUM_CODES + 1, dtype=torch.bool)
    return torch.stack([path.allowed(at) if path else free for path, at in zip(paths, places, strict=True)])
