"""Make ``data/words.tsv.gz``, the word list of the corpus, from freely licensed lists. Run once by hand.

    python -m songbloom.corpus.build_words CMUDICT_FILE

Sources: pronunciations from CMUdict, unigram counts from the package ``wordsegment``, and the package
``hibari-tts`` for which spellings are ordinary words and for their part of speech.
"""

from __future__ import annotations

import gzip
import importlib.resources
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from songbloom.corpus.words import is_held_out

COMMON_WORDS = 12_000
MAX_SYLLABLES = 4
ENDINGS = (("s", ""), ("es", ""), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"), ("er", ""), ("ly", ""))
# Stems that have no place in songs for everybody; web counts rank many of them high.
UNWANTED = re.compile(
    "sex|porn|fuck|shit|cunt|nigg|fag|rape|rapi|cock|dick|puss|tits|whore|slut|bitch|nude|naked|penis|vagin"
    "|^anal$|^cum|dildo|bastard|nazi|negro|orgas|erotic|incest|lesb|homos|prostit|^ass$|^asses$|masturb|^gay"
    "|suicid|murder|hitler|genital|bdsm|fetish|breast|nipple|^hoe|^hos$|jew|islam|muslim|christ|terror|viagra"
)


CLOSED_TAGS = {"DT", "IN", "PRP", "PRP$", "MD", "CC", "WDT", "WP", "WP$", "WRB", "CD"}
CLOSED = frozenset(
    [
        "that",
        "by",
        "or",
        "be",
        "are",
        "an",
        "was",
        "can",
        "not",
        "has",
        "have",
        "had",
        "were",
        "been",
        "am",
        "do",
        "does",
        "did",
        "done",
        "its",
        "her",
        "his",
        "them",
        "to",
        "there",
        "here",
        "up",
        "down",
        "out",
        "off",
        "so",
        "no",
        "yes",
        "oh",
        "now",
        "then",
        "too",
        "who",
        "all",
        "us",
        "me",
        "my",
        "mine",
        "your",
        "you",
        "i",
        "a",
        "the",
        "and",
        "but",
        "if",
        "again",
        "before",
        "is",
        "let",
        "like",
        "more",
        "on",
        "one",
        "over",
        "to",
        "under",
        "what",
        "while",
    ]
)
IRREGULAR_VERBS = frozenset(
    [
        "be",
        "become",
        "begin",
        "bend",
        "bind",
        "bite",
        "blow",
        "break",
        "bring",
        "build",
        "burn",
        "buy",
        "catch",
        "choose",
        "come",
        "cost",
        "cut",
        "dig",
        "do",
        "draw",
        "dream",
        "drink",
        "drive",
        "eat",
        "fall",
        "feed",
        "feel",
        "fight",
        "find",
        "fly",
        "forget",
        "forgive",
        "freeze",
        "get",
        "give",
        "go",
        "grow",
        "hang",
        "hear",
        "hide",
        "hit",
        "hold",
        "hurt",
        "keep",
        "kneel",
        "know",
        "lay",
        "lead",
        "lean",
        "learn",
        "leave",
        "lend",
        "let",
        "lie",
        "light",
        "lose",
        "make",
        "mean",
        "meet",
        "pay",
        "put",
        "read",
        "ride",
        "ring",
        "rise",
        "run",
        "say",
        "see",
        "seek",
        "sell",
        "send",
        "set",
        "shake",
        "shine",
        "show",
        "shut",
        "sing",
        "sink",
        "sit",
        "sleep",
        "slide",
        "speak",
        "spend",
        "spin",
        "stand",
        "steal",
        "stick",
        "strike",
        "swear",
        "sweep",
        "swim",
        "swing",
        "take",
        "teach",
        "tear",
        "tell",
        "think",
        "throw",
        "wake",
        "wear",
        "weep",
        "win",
        "wind",
        "write",
    ]
)


def word_classes(word: str, tag: str, known: set[str]) -> str:
    """Letters of the classes a word can serve in: F closed class, N noun, J adjective, R adverb, V verb."""
    if tag in CLOSED_TAGS or word in CLOSED:
        return "F"
    stem = word[:-1] if word.endswith("e") else word
    doubled = stem + stem[-1]
    regular = (stem + "ing" in known and stem + "ed" in known) or {doubled + "ing", doubled + "ed"} <= known
    letters = "V" if word in IRREGULAR_VERBS or (regular and len(word) > 2) else ""
    for start, letter in (("NN", "N"), ("JJ", "J"), ("RB", "R")):
        if tag.startswith(start) and tag not in ("NNP", "NNPS"):
            letters += letter
    if letters == "V" and word not in IRREGULAR_VERBS and word.endswith("s"):
        letters = ""
    return letters or "-"


def pronunciations(lines: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (word, phones with stress) of every first pronunciation in CMUdict's ``.dict`` form."""
    for line in lines:
        fields = line.split("#")[0].split()
        if fields and re.fullmatch(r"[a-z']+", fields[0]):
            yield fields[0], tuple(fields[1:])


def phone_pairs(phones: tuple[str, ...]) -> set[tuple[str, str]]:
    """Neighbouring phones without stress."""
    plain = [phone.rstrip("012") for phone in phones]
    return set(zip(plain, plain[1:], strict=False))


def build(cmudict: Path) -> list[tuple[str, str, float, str]]:
    """Rows (word, phones, log10 of the count, classes), most frequent first."""
    with cmudict.open(encoding="utf-8") as file:
        lexicon = dict(pronunciations(file))
    assets = importlib.resources.files("hibari") / "assets"
    ordinary = json.loads(gzip.decompress((assets / "lexicon_us_gold.json.gz").read_bytes()))
    tags = json.loads(gzip.decompress((assets / "tagger.json.gz").read_bytes()))["tagdict"]
    counts_text = (importlib.resources.files("wordsegment") / "unigrams.txt").read_text(encoding="utf-8")
    counts = [(w, float(c)) for w, c in (line.split("\t") for line in counts_text.splitlines())]

    frequent = {word for word, count in counts if word in lexicon and count > 2e5}

    def is_ordinary(word: str) -> bool:
        stems = (word[: -len(end)] + new for end, new in ENDINGS if word.endswith(end) and len(word) > len(end) + 2)
        return word in ordinary or any(stem in ordinary for stem in stems)

    def is_acceptable(word: str) -> bool:
        return word in CLOSED or (is_ordinary(word) and (len(word) > 2 or word in tags))

    def is_clean(word: str, most_syllables: int) -> bool:
        syllables = sum(phone[-1].isdigit() for phone in lexicon[word])
        long_enough = len(word) > 1 or word in "ai"
        return 1 <= syllables <= most_syllables and long_enough and not UNWANTED.search(word)

    rows: list[tuple[str, str, float, str]] = []
    covered: set[tuple[str, str]] = set()
    chosen: set[str] = set()
    for word, count in counts:
        if len(rows) >= COMMON_WORDS:
            break
        if word not in lexicon or not is_clean(word, MAX_SYLLABLES) or not is_acceptable(word):
            continue
        phones = lexicon[word]
        classes = word_classes(word, tags.get(word, "-"), frequent)
        rows.append((word, " ".join(phones), math.log10(count), classes))
        chosen.add(word)
        if classes == "F" or not is_held_out(phones):
            covered |= phone_pairs(phones)
    # Rarer words, one for each neighbouring pair of phones that the common words of training lack.
    by_word = dict(counts)
    rare = sorted(lexicon.keys() - chosen, key=lambda w: (not is_ordinary(w), -by_word.get(w, 1e3), w))
    for word in rare:
        missing = phone_pairs(lexicon[word]) - covered
        if missing and is_clean(word, 6):
            rows.append((word, " ".join(lexicon[word]), math.log10(by_word.get(word, 1e3)), "P"))
            covered |= missing
    return rows


def main() -> None:
    rows = build(Path(sys.argv[1]))
    target = Path(__file__).parent / "data" / "words.tsv.gz"
    text = "".join(f"{word}\t{phones}\t{count:.2f}\t{classes}\n" for word, phones, count, classes in rows)
    target.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
