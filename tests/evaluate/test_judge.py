from __future__ import annotations

from collections import Counter

import numpy as np

from songbloom.corpus.settings import STYLES, VOICES
from songbloom.evaluate.judge import listen_to_references


class Noting:
    """Renders nothing to speak of, and notes what it was given."""

    def __init__(self) -> None:
        self.scores: list = []

    def render(self, score) -> np.ndarray:
        self.scores.append(score)
        return np.random.default_rng(score.seed).standard_normal((2, 4800)).astype(np.float32)


def test_references_are_of_every_style_and_voice_alike_and_labelled_so():
    studio = Noting()
    references = listen_to_references(studio, per_pair=2)
    assert Counter(label for label, _ in references.styles) == dict.fromkeys(STYLES, 6)
    assert Counter(label for label, _ in references.voices) == dict.fromkeys(VOICES, 20)
    assert [label for label, _ in references.styles] == [score.card.style for score in studio.scores]
    assert [label for label, _ in references.voices] == [score.card.voice for score in studio.scores]
    assert len({score.seed for score in studio.scores}) == 60 and all(score.held_out for score in studio.scores)
