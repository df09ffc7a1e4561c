"""What becomes of a lyric: sections, phonemes, likely length, and what to know before it is sung."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .parse import Lyrics, NothingToSing, Section, parse, pieces
from .phonemes import STRUCTURE_LABELS, phonemize, unpronounceable


@dataclass(frozen=True)
class Pace:
    """How long a model takes, in seconds: for an instrumental tag, a sung syllable, and between lines."""

    tag_s: float = 1.0
    syllable_s: float = 0.3
    line_s: float = 0.6


@dataclass(frozen=True)
class SectionReport:
    """One section: ``lines`` and ``phonemes`` go together; ``seconds`` is an estimate."""

    kind: str
    tags: int
    lines: list[str]
    phonemes: list[str]
    seconds: float


@dataclass(frozen=True)
class LyricsReport:
    """The outcome of :func:`describe`.

    Attributes:
        published: the lyric in the published format (or as given).
        processor: ``phoneme`` or ``pinyin``.
        phonemes: the whole string the model's tokenizer gets.
        tokens: how many lyric positions of the model it fills.
        seconds: estimated length of the song.
    """

    published: str
    processor: str
    phonemes: str
    tokens: int
    seconds: float
    sections: list[SectionReport]
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON types."""
        return asdict(self)

    def as_text(self) -> str:
        """The report for a terminal."""
        out: list[str] = []
        for section in self.sections:
            count = f" x {section.tags}" if section.tags > 1 else ""
            out.append(f"[{section.kind}]{count}  about {section.seconds:.0f} s")
            for line, phonemes in zip(section.lines, section.phonemes, strict=True):
                out += [f"  {line}", f"    {phonemes}"]
        out.append(f"about {self.seconds:.0f} s in all, {self.tokens} tokens")
        out += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(out) + "\n"


def syllables(line: str, processor: str = "phoneme") -> int:
    """Syllables sung in a line of published text: one for every vowel of its phonemes."""
    count = 0
    for item in line.split():
        if item in STRUCTURE_LABELS:
            continue
        phonemes = phonemize(item, processor)
        vowels = len(re.findall(r"[A-Za-z0][0-5]>?(?= |$)", phonemes))
        # words that stay as they are (a, I, my; with pinyin all Latin words) show no vowel marks
        plain = " ".join(p for p in phonemes.split() if not p.startswith("<"))
        count += vowels or len(re.findall(r"[aeiouy]+", plain.lower()))
    return count


def _seconds(section: Section, processor: str, pace: Pace) -> float:
    """Estimated length: instrumental tags, and lines by their syllables and a breath."""
    total = section.tags * pace.tag_s
    for line in section.lines:
        total += syllables(line, processor) * pace.syllable_s + pace.line_s
    return round(total, 2)


def _tokens(phonemes: str, vocab: frozenset[str] | None) -> int:
    """How many items the tokenizer keeps: those in the vocabulary; without one, all that are not empty."""
    return sum(1 for item in phonemes.split(" ") if (bool(item) if vocab is None else item in vocab))


def _place_of_cut(
    sections: list[Section], processor: str, vocab: frozenset[str] | None, max_tokens: int
) -> str:
    """Where the lyric stops fitting: the section, and the words that are no longer read whole."""
    used = 0
    for number, (section, piece) in enumerate(zip(sections, pieces(sections), strict=True), start=1):
        for sentence in re.findall(r"[^.]+\.?|\.", piece):
            used += _tokens(phonemize(sentence.strip(" "), processor), vocab)
            if used > max_tokens:
                words = re.sub(r"\[[a-z]+\]|[.,]", "", sentence).strip()
                return f"section {number} [{section.kind}]" + (f' at "{words[:40]}"' if words else "")
    return "the last section"


def _shown(items: Sequence[str]) -> str:
    return ", ".join(items[:10]) + (f" and {len(items) - 10} more" if len(items) > 10 else "")


def describe(
    text: str,
    *,
    processor: str = "phoneme",
    pace: Pace = Pace(),
    max_tokens: int | None = None,
    vocab: Sequence[str] | None = None,
    as_given: bool = False,
) -> LyricsReport:
    """Parses a lyric and tells what a model will get.

    Args:
        text: the lyric in any form :func:`parse` reads.
        processor: ``phoneme`` (English and Chinese) or ``pinyin`` (Chinese).
        pace: how long the model takes for what is written.
        max_tokens: lyric positions of the model's prefix; more are warned about.
        vocab: the model's vocabulary; phonemes outside it are warned about and not counted.
        as_given: phonemise ``text`` as it stands, as the published system does, instead of its parsed form;
            then a lyric without words is no error.

    Raises:
        InvalidInput: see :func:`parse`; or an unknown processor.
    """
    warnings: list[str] = []
    try:
        lyrics = parse(text, seconds_per_tag=pace.tag_s)
    except NothingToSing as error:
        if not as_given:
            raise
        lyrics = Lyrics([], [error.remedy])
    warnings += lyrics.warnings
    published = text if as_given else lyrics.published
    phonemes = phonemize(published, processor)
    known = None if vocab is None else frozenset(vocab)

    if silent := unpronounceable(published, processor):
        warnings.append(f"no pronunciation for: {_shown(silent)}")
    if known is not None:
        unknown = list(dict.fromkeys(p for p in phonemes.split(" ") if p and p not in known))
        if unknown:
            warnings.append(f"not in the model's vocabulary, left out: {_shown(unknown)}")
    tokens = _tokens(phonemes, known)
    if max_tokens is not None and tokens > max_tokens:
        place = _place_of_cut(lyrics.sections, processor, known, max_tokens)
        warnings.append(f"too long: {tokens} tokens, the model reads {max_tokens}; cut in {place}")

    sections = [
        SectionReport(
            kind=section.kind,
            tags=section.tags,
            lines=section.lines,
            phonemes=[phonemize(line, processor).strip() for line in section.lines],
            seconds=_seconds(section, processor, pace),
        )
        for section in lyrics.sections
    ]
    return LyricsReport(
        published=published,
        processor=processor,
        phonemes=phonemes,
        tokens=tokens,
        seconds=round(sum(section.seconds for section in sections), 2),
        sections=sections,
        warnings=warnings,
    )


@dataclass(frozen=True)
class Reader:
    """How a model reads lyrics, as :func:`describe` wants it told; the defaults are those of no model in particular."""

    processor: str = "phoneme"
    pace: Pace = Pace()
    max_tokens: int | None = None
    vocab: tuple[str, ...] | None = None

    def describe(self, text: str, processor: str | None = None, *, as_given: bool = False) -> LyricsReport:
        """What this model gets of ``text``; ``processor`` stands in for its own."""
        return describe(
            text,
            processor=self.processor if processor is None else processor,
            pace=self.pace,
            max_tokens=self.max_tokens,
            vocab=self.vocab,
            as_given=as_given,
        )
