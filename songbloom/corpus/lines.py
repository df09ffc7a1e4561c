"""Lines of lyrics: fragments of sentences with open slots, and strings of words that no grammar made."""

from __future__ import annotations

import random

from songbloom.corpus.words import Lexicon, Word

# Letters are slots (see Lexicon); words in small letters are sung as they stand.
FRAGMENTS = tuple(
    fragment.split()
    for fragment in [
        "i V the N",
        "you V the J N",
        "we V R",
        "they V a N",
        "i will V you",
        "you can V me now",
        "we could V all the N",
        "the N of N",
        "a J N",
        "the J J N",
        "my N and your N",
        "in the N of the N",
        "under the J N",
        "over the N and the N",
        "where the N will V",
        "when i V",
        "if you V me",
        "because we V",
        "there was a N",
        "there is a J N",
        "who will V the N",
        "what did you V",
        "how can i V it",
        "i have no N",
        "you have my N",
        "we are J",
        "they were J and J",
        "she was so J",
        "he is my N",
        "it was a N",
        "do not V me",
        "do not V the N",
        "oh my N",
        "oh J N",
        "no more N",
        "yes i V",
        "this is the N",
        "that was my J N",
        "these are my N",
        "all of my N",
        "every N",
        "every J N",
        "between the N and me",
        "down by the N",
        "up on the N",
        "out of the N",
        "through the N",
        "into your N",
        "from N to N",
        "with a N in my N",
        "without your N",
        "R i V",
        "R you V to me",
        "N and N",
        "J and J",
        "V me R",
        "V the N with me",
        "V and V",
        "let your N V",
        "until the N will V",
        "before i V",
        "after the N",
        "while you V",
        "you are the N",
        "i am a J N",
        "we were N and N",
        "they all V",
        "and so i V",
        "but you V",
        "or will you V",
        "then we V",
        "now the N is J",
        "like a N",
        "like a J N on the N",
        "against the N",
        "among the J N",
        "two N and one N",
        "seven N",
        "her N is J",
        "his N was R J",
        "their N will V us",
        "should i V",
        "could you V it",
        "must we V",
        "for the N",
        "of all the N",
        "to V you",
        "to V a N",
        "to V again",
        "it is R J",
        "i was there",
        "here we are",
        "you and i",
        "me and you",
        "those N of mine",
    ]
)


def _from_fragments(rng: random.Random, lexicon: Lexicon, syllables: int) -> list[Word]:
    words: list[Word] = []
    count = 0
    while count < syllables:
        for item in rng.choice(FRAGMENTS):
            word = lexicon.pools[item].draw(rng) if item in "NVJR" else literal(lexicon, item, rng)
            words.append(word)
            count += word.syllables
            if count >= syllables:
                break
    return words


def literal(lexicon: Lexicon, text: str, rng: random.Random) -> Word:
    """A template's own word; where the word list has it as an open-class word only, one of that pool instead."""
    return lexicon.literal.get(text) or lexicon.pools["*"].draw(rng)


def _from_words(rng: random.Random, lexicon: Lexicon, syllables: int, closed: float, pool: str) -> list[Word]:
    words: list[Word] = []
    count = 0
    while count < syllables:
        word = lexicon.pools["F" if rng.random() < closed else pool].draw(rng)
        words.append(word)
        count += word.syllables
    return words


def draw_line(rng: random.Random, lexicon: Lexicon, syllables: int) -> list[Word]:
    """A line of at least ``syllables`` syllables and at most two more than that for long last words.

    Half the lines come from sentence fragments; the others are words drawn one by one, so that every pair of
    phones meets across word boundaries and nothing can be guessed from grammar.
    """
    kind = rng.random()
    if kind < 0.5:
        return _from_fragments(rng, lexicon, syllables)
    if kind < 0.8:
        return _from_words(rng, lexicon, syllables, 0.4, "*")
    return _from_words(rng, lexicon, syllables, 0.15, "=")
