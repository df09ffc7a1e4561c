"""Compose a song: words, structure, chords, melody, and the time of every phone. No audio is made here."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from songbloom.corpus.harmony import SCALES, draw_cadence, draw_progression
from songbloom.corpus.lines import draw_line
from songbloom.corpus.melody import MelodyWriter, Motif, draw_motif, fit_rhythm, scale_pitches
from songbloom.corpus.phones import VOWELS, plain
from songbloom.corpus.score import BandCard, Chord, Note, PhoneEvent, Score, Section, SungLine, TagEvent
from songbloom.corpus.settings import VOICES, CorpusSettings
from songbloom.corpus.structure import SECTION_NAMES, SectionPlan, draw_structure, given_structure
from songbloom.corpus.timing import FRAME_S, consonant_runs, frames, least_frames, on_grid, plan_line
from songbloom.corpus.words import Lexicon, Word, load_lexicon
from songbloom.errors import InvalidInput

BAR = 8  # eighths
MIN_GAP_FRAMES = 2
LIFT = {"verse": 0.4, "chorus": 0.62, "bridge": 0.5}
MAX_LINES = 5
SLOW_EIGHTH_S = 0.3


@dataclass
class LineDraft:
    """A line before it has a place: syllable ``k`` starts ``onsets[k]`` eighths into its section."""

    words: list[Word]
    runs: list[list[str]]
    onsets: list[int]
    last_eighths: int
    pitches: list[int]


def draw_card(rng: random.Random, settings: CorpusSettings) -> BandCard:
    """A style, a voice and the way they sound together."""
    style = rng.choice(settings.styles)
    return BandCard(
        style=style,
        voice=rng.choice(settings.voices),
        bpm=on_grid(rng.uniform(*settings.bpm)),
        key=rng.randrange(12),
        mode="major" if rng.random() < 0.55 else "minor",
        vocal_db=round(rng.uniform(*settings.vocal_db), 2),
        reverb=round(rng.uniform(0.04, 0.16), 3),
        brightness=round(rng.uniform(-2.0, 2.0), 2),
        swing=0.33 if style == "lofi" else rng.choice((0.0, 0.0, 0.0, 0.2)),
        seed=rng.getrandbits(31),
    )


def compose(
    seed: int,
    settings: CorpusSettings | None = None,
    *,
    card: BandCard | None = None,
    lyrics: Sequence[tuple[str, Sequence[Sequence[Word]]]] | None = None,
) -> Score:
    """A song drawn from a seed; equal arguments give equal songs.

    Args:
        seed: any integer; held-out songs use a stream of their own.
        settings: limits of what is drawn.
        card: players, voice, tempo and key to use instead of drawing them, so that songs of different seeds
            belong together.
        lyrics: sections (``"verse"``, ``"chorus"``, ``"bridge"``, ``"intro"``, ``"inst"``, ``"outro"``) and the
            words of their lines, to sing instead of words drawn; the settings' length then has no effect.

    Raises:
        InvalidInput: lyrics with an unknown section, or without a line in a vocal one.
    """
    settings = settings or CorpusSettings()
    stream = "held-out" if settings.held_out else "training"
    rng = random.Random(f"{stream}:{seed}")
    card = card or draw_card(rng, settings)
    composer = _Composer(card, rng, load_lexicon(settings.held_out))
    if lyrics is not None:
        _check_lyrics(lyrics)
        return composer.song(given_structure(rng, lyrics, 240.0 / card.bpm), math.inf, seed, settings.held_out)
    plans = draw_structure(rng, settings, 240.0 / card.bpm)
    return composer.song(plans, settings.duration_s[1], seed, settings.held_out)


def _check_lyrics(lyrics: Sequence[tuple[str, Sequence[Sequence[Word]]]]) -> None:
    for name, lines in lyrics:
        if name not in SECTION_NAMES:
            raise InvalidInput("lyrics", name, f"sections are {', '.join(SECTION_NAMES)}.")
        if name in LIFT and not (lines and all(sum(word.syllables for word in line) for line in lines)):
            raise InvalidInput("lyrics", name, "each line of a vocal section needs words with a vowel.")
    if not any(name in LIFT for name, _ in lyrics):
        raise InvalidInput("lyrics", [name for name, _ in lyrics], "needs a verse, chorus or bridge.")


class _Composer:
    """Writes one song from left to right."""

    def __init__(self, card: BandCard, rng: random.Random, lexicon: Lexicon) -> None:
        self._card, self._rng, self._lexicon = card, rng, lexicon
        self._eighth_s = 30.0 / card.bpm
        scale = rng.choice(SCALES[card.mode])
        pitches = scale_pitches(VOICES[card.voice], card.key, scale)
        self._melody = MelodyWriter(pitches, card.key, rng)
        self._progressions: dict[str, list[tuple[int, str]]] = {}
        self._drafts: dict[str, list[LineDraft]] = {}
        self._items: list[str] = []
        self._text: list[tuple[str, list[str]]] = []
        self._phones: list[PhoneEvent] = []
        self._tags: list[TagEvent] = []
        self._notes: list[Note] = []
        self._lines: list[SungLine] = []
        self._bars: list[tuple[int, tuple[int, str]]] = []  # first eighth, chord
        self._starts: list[tuple[str, int]] = []
        self._position = 0  # eighths
        self._covered_s = 0.0  # every moment before it has its lyric item
        self._pending = 0  # the lyric item the time after it belongs to

    def song(self, plans: list[SectionPlan], latest_s: float, seed: int, held_out: bool) -> Score:
        """Write every section that ends before ``latest_s`` seconds, then the ending."""
        outro_s = sum(plan.eighths for plan in plans if plan.name == "outro") * self._eighth_s
        for plan in plans:
            if self._phones and plan.name != "outro" and self._expected_end_s(plan) + outro_s > latest_s:
                continue
            if self._items:
                self._items.append(",")
            self._starts.append((plan.name, self._position))
            self._text.append((plan.name, []))
            if plan.name in LIFT:
                self._vocal(plan)
            else:
                self._instrumental(plan)
        duration = self._end(closed=self._starts[-1][0] == "outro")
        self._fill(duration, self._pending)
        starts = [(name, at * self._eighth_s) for name, at in self._starts]
        ends = [at for _, at in starts[1:]] + [duration]
        return Score(
            lyrics=" ".join(self._items),
            text=self._text,
            phones=self._phones,
            tags=self._tags,
            notes=self._notes,
            chords=self._chords(duration),
            sections=[Section(name, at, end) for (name, at), end in zip(starts, ends, strict=True)],
            lines=self._lines,
            card=self._card,
            duration_s=duration,
            seed=seed,
            held_out=held_out,
        )

    def _expected_end_s(self, plan: SectionPlan) -> float:
        drafts = self._drafts.get(plan.name) if plan.name == "chorus" else None
        eighths = drafts[-1].onsets[-1] + drafts[-1].last_eighths if drafts else plan.eighths
        return self._position * self._eighth_s + max(eighths * self._eighth_s, plan.seconds)

    def _fill(self, end_s: float, item: int) -> None:
        if end_s > self._covered_s + 1e-4:
            self._tags.append(TagEvent(round(self._covered_s, 6), round(end_s, 6), item))
            self._covered_s = end_s

    def _progression(self, name: str) -> list[tuple[int, str]]:
        if name not in self._progressions:
            same = name != "bridge" and self._progressions and self._rng.random() < 0.5
            self._progressions[name] = (
                next(iter(self._progressions.values()))
                if same
                else draw_progression(self._rng, self._card.key, self._card.mode)
            )
        return self._progressions[name]

    def _add_bars(self, name: str, start: int, end: int) -> None:
        chords = self._progression(name)
        for number, at in enumerate(range(start, end, BAR)):
            self._bars.append((at, chords[number % len(chords)]))

    def _instrumental(self, plan: SectionPlan) -> None:
        start, end = self._position, self._position + plan.eighths
        self._add_bars("verse" if plan.name == "intro" else plan.name, start, end)
        start_s, end_s = start * self._eighth_s, end * self._eighth_s
        self._fill(start_s, self._pending)
        count = max(1, round(end_s - start_s))
        for number in range(count):
            if number:
                self._fill(start_s + (end_s - start_s) * number / count, self._pending)
            self._pending = len(self._items)
            self._items.append(f"[{plan.name}]")
        self._position = end

    def _vocal(self, plan: SectionPlan) -> None:
        start = self._position
        heading = len(self._items)
        self._items.append(f"[{plan.name}]")
        chords = self._progression(plan.name)
        drafts = self._drafts.get(plan.name) if plan.name == "chorus" else None
        if drafts and plan.lines and [d.words for d in drafts] != [list(line) for line in plan.lines]:
            drafts = None
        if drafts is None:
            drafts = self._draft_section(plan, chords, late=start == 0)
            self._drafts[plan.name] = drafts
        for index, draft in enumerate(drafts):
            self._sing(draft, start, heading if index == 0 else None)
        self._text[-1][1].extend(" ".join(w.text for w in d.words).capitalize() + "." for d in drafts)
        over = drafts[-1].onsets[-1] + drafts[-1].last_eighths + 1
        end = start + -(-over // BAR) * BAR
        self._add_bars(plan.name, start, end)
        self._position = end

    def _draft_section(self, plan: SectionPlan, chords: list[tuple[int, str]], late: bool) -> list[LineDraft]:
        rng = self._rng
        motifs = [draw_motif(rng, self._eighth_s) for _ in range(2)]
        drafts: list[LineDraft] = []
        at = 2 if late else 0
        # Lines start on half bars, in slow songs on beats, so that no breath takes too long.
        grid = 4 if self._eighth_s < SLOW_EIGHTH_S else 2
        budget = plan.seconds / self._eighth_s
        while True:
            motif = motifs[0] if len(drafts) % 4 != 2 else motifs[1]
            words = list(plan.lines[len(drafts)]) if plan.lines else draw_line(rng, self._lexicon, rng.randint(5, 10))
            draft = self._draft_line(words, plan.name, motif, at, chords, drafts[-1] if drafts else None)
            drafts.append(draft)
            at = -(-(draft.onsets[-1] + draft.last_eighths + 1) // grid) * grid
            done = len(drafts) >= MAX_LINES or at + 0.5 * at / len(drafts) > budget
            if (len(drafts) == len(plan.lines)) if plan.lines else done:
                return drafts

    def _draft_line(
        self,
        words: list[Word],
        name: str,
        motif: Motif,
        at: int,
        chords: list[tuple[int, str]],
        before: LineDraft | None,
    ) -> LineDraft:
        rng = self._rng
        symbols = [symbol for word in words for symbol in word.phones]
        runs = consonant_runs(symbols)
        stressed = [symbol[-1] != "0" for symbol in symbols if plain(symbol) in VOWELS]
        least_s = [least_frames(run) * FRAME_S for run in runs[1:]]
        lengths = fit_rhythm(motif, least_s, stressed, self._eighth_s, rng)
        first = at + motif.start_eighth
        if before is not None:
            # Room for a breath and for the consonants before the first vowel.
            ready_s = (before.onsets[-1] + before.last_eighths) * self._eighth_s
            ready_s += (MIN_GAP_FRAMES + len(runs[0])) * FRAME_S
            first = max(first, -int(-ready_s // self._eighth_s))
        onsets = [first]
        for length in lengths[:-1]:
            onsets.append(onsets[-1] + length)
        sounding = [chords[onset // BAR % len(chords)] for onset in onsets]
        ending = "chord" if rng.random() < 0.6 else "open"
        pitches = self._melody.line([onset % BAR for onset in onsets], sounding, motif.steps, LIFT[name], ending)
        return LineDraft(words, runs, onsets, lengths[-1], pitches)

    def _sing(self, draft: LineDraft, start: int, heading: int | None) -> None:
        """Place a line: ``start`` is its section's first eighth, ``heading`` the tag item before a first line."""
        onsets = [frames((start + onset) * self._eighth_s) for onset in draft.onsets]
        last_frames = frames((start + draft.onsets[-1] + draft.last_eighths) * self._eighth_s) - onsets[-1]
        last_frames = max(last_frames - 1, least_frames(draft.runs[-1]))
        at, lengths = plan_line(draft.runs, onsets, last_frames, self._rng)
        first_s = round(at * FRAME_S, 6)
        if heading is not None:
            self._fill(min(start * self._eighth_s, max(first_s - 0.1, 0.0)), self._pending)
            self._fill(first_s, heading)
        else:
            self._fill(first_s, self._pending)
        symbols = tuple(symbol for word in draft.words for symbol in word.phones)
        word_starts = tuple(i == 0 for word in draft.words for i in range(len(word.phones)))
        first_phone = len(self._phones)
        vowel = 0
        for symbol, length in zip(symbols, lengths, strict=True):
            phone = plain(symbol)
            if phone in VOWELS:
                vowel += 1
            # Consonants before the first vowel are at its pitch, others at that of the vowel before them.
            pitch = draft.pitches[max(vowel - 1, 0)]
            end = at + length
            self._phones.append(
                PhoneEvent(round(at * FRAME_S, 6), round(end * FRAME_S, 6), phone, pitch, len(self._items))
            )
            self._items.append(symbol)
            at = end
        self._lines.append(SungLine(first_phone, len(self._phones), symbols, word_starts))
        bounds = [*onsets, onsets[-1] + last_frames]
        for index, pitch in enumerate(draft.pitches):
            self._notes.append(Note(round(bounds[index] * FRAME_S, 6), round(bounds[index + 1] * FRAME_S, 6), pitch))
        self._covered_s = round(at * FRAME_S, 6)
        self._pending = len(self._items)
        self._items.append(".")

    def _end(self, closed: bool) -> float:
        """Close the song on the tonic; its duration in seconds.

        An outro ends in a cadence. Other songs sing their last note on the tonic, with its chord below, and let
        it ring for a second.
        """
        end_s = self._position * self._eighth_s
        cadence = draw_cadence(self._rng, self._card.key, self._card.mode)
        if closed:
            outro = self._starts[-1][1]
            tail = [i for i, (at, _) in enumerate(self._bars) if at >= outro][-2:]
            for index, chord in zip(tail, cadence[-len(tail) :], strict=True):
                self._bars[index] = (self._bars[index][0], chord)
            return round(end_s, 6)
        last = self._notes[-1]
        voice = VOICES[self._card.voice]
        tonics = [p for p in range(voice.lowest, voice.highest + 1) if p % 12 == self._card.key]
        tonic = min(tonics, key=lambda pitch: abs(pitch - last.midi_pitch))
        self._notes[-1] = last._replace(midi_pitch=tonic)
        for index in range(len(self._phones) - 1, -1, -1):
            if self._phones[index].start_s < last.start_s - 1e-6:
                break
            self._phones[index] = self._phones[index]._replace(midi_pitch=tonic)
        self._bars = [
            (at, cadence[1] if (at + BAR) * self._eighth_s > last.start_s + FRAME_S else chord)
            for at, chord in self._bars
        ]
        return round(max(end_s, self._covered_s + 1.0), 6)

    def _chords(self, duration: float) -> list[Chord]:
        starts = [round(at * self._eighth_s, 6) for at, _ in self._bars]
        ends = [*starts[1:], duration]
        return [
            Chord(start, end, root, quality)
            for (_, (root, quality)), start, end in zip(self._bars, starts, ends, strict=True)
        ]
