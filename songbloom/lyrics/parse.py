"""Lyrics as people paste them, to sections and to the exact string a published SongBloom reads."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from songbloom.errors import InvalidInput

from . import clean
from .headings import INSTRUMENTAL, VOCAL, Heading, from_brackets, from_line, is_note

MAX_BYTES = 100_000
MAX_TAGS = 600  # of one instrumental section: ten minutes at a second a tag

_TAG = re.compile(r"[\[【〔]([^\[\]【】〔〕\n]{1,80})[\]】〕]")


class NothingToSing(InvalidInput):
    """A lyric without a word and without a section."""


@dataclass(frozen=True)
class Section:
    """One section of a song.

    Attributes:
        kind: ``intro``, ``verse``, ``chorus``, ``bridge``, ``inst``, ``outro`` or ``silence``.
        body: its words in the published form, sentences ended by ``.``; may be empty.
        tags: how often an instrumental tag is repeated, which is its length; 0 for sung sections.
    """

    kind: str
    body: str = ""
    tags: int = 0

    @property
    def lines(self) -> list[str]:
        """The sentences, without their full stops."""
        return [line for sentence in self.body.split(".") if (line := sentence.strip())]

    @property
    def published(self) -> str:
        """The section as a published SongBloom reads it, before it is joined to the next one."""
        head = " ".join([f"[{self.kind}]"] * max(self.tags, 1))
        if not self.body:
            return head
        return f"{head} , {self.body}" if self.kind in INSTRUMENTAL else f"{head} {self.body}"


@dataclass(frozen=True)
class Lyrics:
    """Parsed lyrics: at least one section, and what the user should know about them."""

    sections: list[Section]
    warnings: list[str] = field(default_factory=list)

    @property
    def published(self) -> str:
        """The whole lyric in the published format, e.g. ``[intro] [intro] , [verse] One. Two , [outro]``."""
        return "".join(pieces(self.sections))


def pieces(sections: list[Section]) -> list[str]:
    """The published string in one piece per section, each with the separator that follows it."""
    parts: list[str] = []
    for i, section in enumerate(sections):
        text = section.published
        if i < len(sections) - 1:
            # the published clean-up turns a last full stop into the comma that ends the section
            text = text[:-1] + ", " if section.body.endswith(".") else text + " , "
        parts.append(text)
    return parts


@dataclass
class _Draft:
    """A section while its lines are collected."""

    kind: str
    tags: int = 0
    lines: list[str] = field(default_factory=list)


class _Reader:
    """Collects drafts and warnings over the lines of one text."""

    def __init__(self, seconds_per_tag: float) -> None:
        self.seconds_per_tag = seconds_per_tag
        self.drafts: list[_Draft] = []
        self.paragraphs: list[list[str]] = [[]]  # what stands before the first heading
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def add_text(self, text: str) -> None:
        if text.strip():
            (self.drafts[-1].lines if self.drafts else self.paragraphs[-1]).append(text)

    def end_paragraph(self) -> None:
        if self.paragraphs[-1]:
            self.paragraphs.append([])

    def add_heading(self, heading: Heading) -> None:
        if heading.kind in VOCAL:
            if heading.seconds is not None:
                self.warn(f"the length of a [{heading.kind}] is left to its words")
            self.drafts.append(_Draft(heading.kind))
            return
        tags = 1 if heading.seconds is None else max(1, round(heading.seconds / self.seconds_per_tag))
        last = self.drafts[-1] if self.drafts else None
        if last and last.kind == heading.kind and not clean.clean_line(" ".join(last.lines)).strip(" ."):
            last.lines.clear()
            tags += last.tags
        else:
            self.drafts.append(_Draft(heading.kind))
        if tags > MAX_TAGS:
            self.warn(f"a section [{heading.kind}] was shortened to {MAX_TAGS * self.seconds_per_tag:g} s")
        self.drafts[-1].tags = min(tags, MAX_TAGS)

    def read_line(self, line: str) -> None:
        line = " ".join(line.split())
        if not line:
            self.end_paragraph()
            return
        if not _TAG.search(line) and (found := from_line(line)):
            heading, text = found
            self.add_heading(heading)
            self.add_text(text)
            return
        text, at = "", 0
        for tag in _TAG.finditer(line):
            text += line[at : tag.start()]
            at = tag.end()
            if known := from_brackets(tag[1]):
                self.add_text(text)
                self.add_heading(known)
                text = ""
            elif tag[0][0] != "[":
                text += tag[1]  # 【...】 around words is quotation
            elif not is_note(tag[1]) and not line[: tag.start()].strip():
                self.warn(f"unknown tag [{tag[1]}]: read as [verse]")
                self.add_heading(Heading("verse"))
                text = ""
            else:
                self.warn(f"unknown tag [{tag[1]}]: left out")
        self.add_text(text + line[at:])

    def before_first_heading(self) -> list[_Draft]:
        """The paragraphs above all headings as sections: verses, and as choruses those that come back."""
        bodies = [clean.join_lines([clean.clean_line(line) for line in lines]) for lines in self.paragraphs]
        said = [body.strip(" .").casefold() for body in bodies]
        found = [(lines, body) for lines, body in zip(self.paragraphs, said, strict=True) if body]
        if not found:
            return []
        if self.drafts:
            self.warn("the words before the first heading are read as [verse]")
            return [_Draft("verse", lines=[line for lines, _ in found for line in lines])]
        times = Counter(said)
        drafts = [_Draft("chorus" if times[body] > 1 else "verse", lines=lines) for lines, body in found]
        repeated = ", the repeated ones as [chorus]" if "chorus" in (draft.kind for draft in drafts) else ""
        self.warn(f"no section headings: every paragraph is read as [verse]{repeated}")
        return drafts

    def sections(self) -> list[Section]:
        sections: list[Section] = []
        for draft in [*self.before_first_heading(), *self.drafts]:
            body = clean.join_lines([clean.clean_line(line) for line in draft.lines])
            body, cut = clean.shorten_words(body)
            for word in cut:
                self.warn(f"the word {word} is longer than {clean.LONGEST_WORD} letters and was cut")
            if sections and not sections[-1].body and sections[-1].kind == draft.kind and draft.kind in VOCAL:
                sections.pop()  # an empty heading before the same heading says nothing
            sections.append(Section(draft.kind, body, draft.tags))
        self._repeat_choruses(sections)
        for section in sections:
            if section.kind in VOCAL and not section.body:
                self.warn(f"a section [{section.kind}] has no words")
            elif section.kind in INSTRUMENTAL and section.body:
                self.warn(f"words under [{section.kind}] may not be sung: put them under [verse] or [chorus]")
        if not any(section.kind in VOCAL and section.body for section in sections):
            self.warn("no vocal section: the song will be instrumental")
        return sections

    def _repeat_choruses(self, sections: list[Section]) -> None:
        """A bare [chorus] after one with words means: sing it again."""
        words = ""
        for i, section in enumerate(sections):
            if section.kind == "chorus" and not section.body and words:
                sections[i] = Section("chorus", words)
                self.warn("a [chorus] without words repeats the one before")
            elif section.kind == "chorus":
                words = section.body


def parse(text: str, *, seconds_per_tag: float = 1.0) -> Lyrics:
    """Reads lyrics in the published format or in any of the usual pasted forms (docs/lyrics.md lists them).

    Args:
        text: the lyrics, at most 100 kB as UTF-8.
        seconds_per_tag: seconds of music one instrumental tag stands for in the model (about 1 in the 150 s
            models, 5 in the 240 s model); turns ``[intro 10s]`` into repeated tags.

    Raises:
        NothingToSing: no word and no section is left of ``text``.
        InvalidInput: ``text`` is no text or too long, or ``seconds_per_tag`` is not positive.
    """
    if not isinstance(text, str):
        raise InvalidInput("lyrics", text, "lyrics must be text.")
    if not seconds_per_tag > 0:
        raise InvalidInput("seconds_per_tag", seconds_per_tag, "must be a positive number of seconds.")
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise InvalidInput("lyrics", text, f"{size} bytes are too long for a song; give at most {MAX_BYTES}.")
    reader = _Reader(seconds_per_tag)
    written, dropped = clean.keep_writable(text)
    if dropped:
        shown = " ".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in dropped[:10])
        reader.warn(f"left out characters that cannot be sung: {shown}{' …' if len(dropped) > 10 else ''}")
    for line in written.split("\n"):
        reader.read_line(line)
    sections = reader.sections()
    if not sections:
        raise NothingToSing(
            "lyrics", text, "nothing to sing in it; write words, or a tag such as [inst 20s]."
        )
    return Lyrics(sections, reader.warnings)
