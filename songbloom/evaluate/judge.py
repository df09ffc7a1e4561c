"""Everything that is measured of one song, whether the model made it or the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from songbloom.audio.key import find_key
from songbloom.audio.tempo import tempo
from songbloom.corpus.render import SAMPLE_RATE, Studio
from songbloom.corpus.settings import STYLES, VOICES
from songbloom.evaluate.clean import LONGEST_SILENCE_S, finite, inner_silence_s, is_stuck, saved_peak
from songbloom.evaluate.held_out import reference_song
from songbloom.evaluate.measures import nearest, runs, spectral_distance_db, spectral_features
from songbloom.evaluate.recogniser import Recogniser, phone_error_rate, sung_phones
from songbloom.evaluate.structure import SungForm, written_sections
from songbloom.evaluate.voice import voice_features
from songbloom.evaluate.words import Listener, WordErrors, word_errors
from songbloom.model.sketch_codes import pitches_of

Labelled = list[tuple[str, NDArray[np.float64]]]

# Shares of within-class covariance not trusted; chosen on songs of a training corpus, for 60 references.
STYLE_SHRINKAGE, VOICE_SHRINKAGE = 0.5, 0.1


@dataclass(frozen=True)
class References:
    """What songs of each style and of each voice sound like."""

    styles: Labelled
    voices: Labelled


def listen_to_references(studio: Studio, per_pair: int = 2) -> References:
    """Features of corpus songs of every style and voice, other than those evaluated; takes about a minute."""
    styles: Labelled = []
    voices: Labelled = []
    for style in STYLES:
        for voice in VOICES:
            for number in range(per_pair):
                audio = reference_song(studio, style, voice, number)
                styles.append((style, spectral_features(audio, SAMPLE_RATE)))
                voices.append((voice, voice_features(audio, SAMPLE_RATE)))
    return References(styles, voices)


@dataclass(frozen=True)
class Performance:
    """A song to be measured.

    Attributes:
        audio: float32 [2, n], full scale at -1..1; it may be above.
        codes: its tokens [n] if they are of the bundled kind.
        tokens: its tokens of whatever kind [n].
        frame_rate: tokens a second.
        phonemes: what it should sing, as the model is given it.
        words: the same as words, None where they make no sense.
        seconds_per_tag: length of one instrumental tag.
    """

    audio: NDArray[np.float32]
    sample_rate: int
    codes: NDArray[np.int64] | None
    tokens: NDArray[np.int64]
    frame_rate: float
    phonemes: str
    words: Sequence[str] | None
    seconds_per_tag: float
    ended: bool


@dataclass(frozen=True)
class SongMeasures:
    """What was found in one song; None where it cannot be told."""

    seconds: float
    ended: bool
    errors: WordErrors | None
    phone_error_sketch: float | None  # of its tokens
    phone_error_audio: float  # of what the bundled recogniser hears
    style: str
    voice: str
    bpm: float
    key: int  # pitch class
    mode: str
    pitch: float | None  # mean MIDI note sung, by the tokens
    structure: bool | None
    chorus: float | None  # share of a repeated chorus on the same notes
    distance_corpus: float  # spectral, dB, to the corpus' own song
    distance_noise: float  # the same to white noise
    finite: bool
    peak: float | None  # before it is saved
    saved_peak: float | None
    silence_s: float  # longest before the end
    stuck: bool

    @property
    def clean(self) -> bool:
        """No fault anybody would hear."""
        return self.finite and self.peak_fits and self.without_holes and not self.stuck

    @property
    def peak_fits(self) -> bool:
        """Saved, it does not clip."""
        return self.saved_peak is not None and self.saved_peak <= 1

    @property
    def without_holes(self) -> bool:
        """It has no hole before its end."""
        return self.silence_s <= LONGEST_SILENCE_S


class Judge:
    """Measures songs.

    Args:
        references: of :func:`listen_to_references`.
        listener: to hear words with; without one word errors are None.
    """

    def __init__(self, references: References, listener: Listener | None, recogniser: Recogniser | None = None) -> None:
        self._references, self._listener = references, listener
        self._recogniser = recogniser or Recogniser()
        noise = np.random.default_rng(0).standard_normal((2, 10 * SAMPLE_RATE)).astype(np.float32)
        self._noise = spectral_features(noise, SAMPLE_RATE)

    def errors(self, audio: NDArray[np.float32], sample_rate: int, words: Sequence[str] | None) -> WordErrors | None:
        """Word errors of a listener; None without words or a listener."""
        if self._listener is None or not words:
            return None
        return word_errors(self._listener.words(np.nan_to_num(audio), sample_rate), words)

    def measure(self, song: Performance, corpus_audio: NDArray[np.float32]) -> SongMeasures:
        """All measures of a song; ``corpus_audio`` [2, n] is the corpus' own one of the same lyrics."""
        whole = finite(song.audio)
        # A song with broken samples is not clean, but still has the rest to be told.
        audio, rate = song.audio if whole else np.nan_to_num(song.audio, posinf=0.0, neginf=0.0), song.sample_rate
        sections = written_sections(song.phonemes)
        wanted = runs([phone for section in sections for phone in section.phones])
        form = None if song.codes is None else SungForm(song.codes, sections, song.frame_rate)
        features = spectral_features(audio, rate)
        key, mode = find_key(audio, rate)
        return SongMeasures(
            seconds=round(audio.shape[1] / rate, 2),
            ended=song.ended,
            errors=self.errors(audio, rate, song.words),
            phone_error_sketch=None if song.codes is None else phone_error_rate(sung_phones(song.codes), wanted),
            phone_error_audio=phone_error_rate(self._recogniser.phones(audio, rate), wanted),
            style=nearest(features, self._references.styles, shrinkage=STYLE_SHRINKAGE),
            voice=nearest(voice_features(audio, rate), self._references.voices, shrinkage=VOICE_SHRINKAGE),
            bpm=round(tempo(audio, rate), 1),
            key=key,
            mode=mode,
            pitch=None if song.codes is None else mean_pitch(song.codes),
            structure=None if form is None else form.instrumentals_hold(song.seconds_per_tag),
            chorus=None if form is None else form.chorus_kept(),
            distance_corpus=spectral_distance_db(features, spectral_features(corpus_audio, SAMPLE_RATE)),
            distance_noise=spectral_distance_db(features, self._noise),
            finite=whole,
            peak=float(np.abs(audio).max(initial=0.0)) if whole else None,
            saved_peak=saved_peak(audio, rate) if whole else None,
            silence_s=inner_silence_s(audio, rate),
            stuck=is_stuck(song.tokens, song.frame_rate),
        )


def mean_pitch(codes: NDArray[np.int64]) -> float | None:
    """Mean MIDI note of the tokens with voice; None without any."""
    pitches = pitches_of(codes)
    return float(pitches[pitches >= 0].mean()) if (pitches >= 0).any() else None
