"""``songbloom evaluate``: songs from held-out lyrics and clips, measured against the corpus' own rendering of them.

Lyrics, melodies and clips come from :mod:`songbloom.corpus` with words and seeds that no training song has.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from songbloom.audio import longest_silence_s, write
from songbloom.corpus.compose import compose
from songbloom.corpus.phones import PHONE_INDEX
from songbloom.corpus.render import SAMPLE_RATE, Studio
from songbloom.corpus.score import Score
from songbloom.corpus.settings import STYLES, VOICES, CorpusSettings
from songbloom.evaluate.measures import nearest, runs, spectral_distance_db, spectral_features
from songbloom.evaluate.recogniser import Recogniser, phone_error_rate, sung_phones
from songbloom.pipeline import SongBloom
from songbloom.request import SongRequest, SongSettings
from songbloom.song import Song
from songbloom.train.sketch_codes import NUM_CODES, pitches_of

FIRST_SEED = 500_000


@dataclass(frozen=True)
class SongMeasures:
    """One evaluated song.

    ``phone_error_sketch`` is that of its tokens (None where the model's tokens are not the bundled kind),
    ``phone_error_audio`` that of the recogniser on its audio, ``phone_error_corpus`` that of the recogniser on the
    corpus' own song of the same lyrics. ``distance_*`` are spectral distances in dB to that song and to white noise.
    """

    style: str
    style_found: str
    seconds: float
    expected_s: float
    ended: bool
    phone_error_sketch: float | None
    phone_error_audio: float
    phone_error_corpus: float
    pitch: float | None  # mean MIDI note sung, by the tokens
    pitch_corpus: float
    distance_corpus: float
    distance_noise: float
    longest_silence_s: float
    peak: float  # full scale is 1; a song is scaled down when it is saved
    finite: bool
    speed: float  # seconds of computing a second of song


def lyrics_text(score: Score) -> str:
    """The score's lyrics as a user would write them."""
    parts = []
    for section, (name, lines) in zip(score.sections, score.text, strict=True):
        seconds = f" {max(1, round(section.end_s - section.start_s))}s" if not lines else ""
        parts.append("\n".join([f"[{name}{seconds}]", *lines]))
    return "\n\n".join(parts)


def evaluate(
    model: SongBloom,
    songs: int,
    *,
    settings: SongSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure ``songs`` songs of ``model``; needs the extra ``corpus``.

    Returns:
        Plain JSON types: ``summary`` and one entry of ``songs`` each.
    """
    settings = settings or SongSettings()
    studio, recogniser = Studio(), Recogniser()
    rng = np.random.default_rng(0)
    noise = spectral_features(rng.standard_normal((2, 10 * SAMPLE_RATE)).astype(np.float32), SAMPLE_RATE)
    references = _references(studio)
    rows: list[SongMeasures] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(songs):
            score = _held_out(number)
            request = SongRequest(
                lyrics=lyrics_text(score),
                prompt_wav=_clip(studio, score, Path(folder)),
                idx=f"evaluate_{number}",
                settings=replace(settings, seed=number if settings.seed is None else settings.seed + number),
            )
            prepared = model.prepare(request)
            began = time.monotonic()
            song = model.generate(prepared)
            took = time.monotonic() - began
            features = spectral_features(song.audio, song.sample_rate)
            reference = studio.render(score)
            corpus = spectral_features(reference, SAMPLE_RATE)
            wanted = runs([PHONE_INDEX[event.phone] for event in score.phones])
            heard = recogniser.phones(song.audio, song.sample_rate)
            heard_corpus = recogniser.phones(reference, SAMPLE_RATE)
            rows.append(
                SongMeasures(
                    style=score.card.style,
                    style_found=nearest(features, references),
                    seconds=round(song.seconds, 2),
                    expected_s=round(score.duration_s, 2),
                    ended=song.ended,
                    phone_error_sketch=_sketch_error(model, song, wanted),
                    phone_error_audio=round(phone_error_rate(heard, wanted), 3),
                    phone_error_corpus=round(phone_error_rate(heard_corpus, wanted), 3),
                    pitch=_mean_pitch(model, song),
                    pitch_corpus=round(float(np.mean([event.midi_pitch for event in score.phones])), 1),
                    distance_corpus=round(spectral_distance_db(features, corpus), 2),
                    distance_noise=round(spectral_distance_db(features, noise), 2),
                    longest_silence_s=round(longest_silence_s(song.audio, song.sample_rate), 2),
                    peak=round(float(np.abs(song.audio).max()), 2),
                    finite=bool(np.isfinite(song.audio).all()),
                    speed=round(took / song.seconds, 3),
                )
            )
            if progress is not None:
                progress(number + 1, songs)
    return {"model": model.name, "summary": _summary(rows, references, noise), "songs": [asdict(r) for r in rows]}


def _held_out(number: int) -> Score:
    style, voice = STYLES[number % len(STYLES)], list(VOICES)[number % len(VOICES)]
    settings = CorpusSettings(held_out=True, styles=(style,), voices=(voice,), duration_s=(20.0, 40.0))
    return compose(FIRST_SEED + number, settings)


def _clip(studio: Studio, score: Score, folder: Path) -> Path:
    """10 s of another song of the same band."""
    twin = compose(FIRST_SEED * 2 + score.seed, CorpusSettings(held_out=True, duration_s=(16.0, 24.0)), card=score.card)
    start = int(max(0.0, min(twin.phones[0].start_s - 1, twin.duration_s - 10)) * SAMPLE_RATE)
    path = folder / f"clip_{score.seed}.wav"
    write(path, studio.render(twin)[:, start : start + 10 * SAMPLE_RATE], SAMPLE_RATE)
    return path


def _references(studio: Studio, per_style: int = 3) -> list[tuple[str, np.ndarray]]:
    """Features of corpus songs of every style, other than those evaluated."""
    found = []
    for style in STYLES:
        for k in range(per_style):
            settings = CorpusSettings(held_out=True, styles=(style,), duration_s=(16.0, 24.0))
            score = compose(FIRST_SEED * 3 + 100 * STYLES.index(style) + k, settings)
            found.append((style, spectral_features(studio.render(score), SAMPLE_RATE)))
    return found


def _mean_pitch(model: SongBloom, song: Song) -> float | None:
    """Mean MIDI note of the tokens with voice; None for models whose tokens are not the bundled kind."""
    pitches = pitches_of(song.tokens)
    if model.config.net.num_pitch != NUM_CODES or not (pitches >= 0).any():
        return None
    return round(float(pitches[pitches >= 0].mean()), 1)


def _sketch_error(model: SongBloom, song: Song, wanted: list[int]) -> float | None:
    """Phone error rate of the tokens themselves; None for models whose tokens are not the bundled kind."""
    if model.config.net.num_pitch != NUM_CODES:
        return None
    return round(phone_error_rate(sung_phones(song.tokens), wanted), 3)


def _summary(rows: list[SongMeasures], references: list[tuple[str, np.ndarray]], noise: np.ndarray) -> dict[str, Any]:
    """Means over the songs; ``style_corpus`` is how often the style measure is right on corpus songs left out."""
    left_out = [
        nearest(features, references[:i] + references[i + 1 :]) == style
        for i, (style, features) in enumerate(references)
    ]
    sketch = [r.phone_error_sketch for r in rows if r.phone_error_sketch is not None]
    pitches = np.array([(r.pitch, r.pitch_corpus) for r in rows if r.pitch is not None])
    return {
        "songs": len(rows),
        "phone_error_sketch": round(float(np.mean(sketch)), 3) if sketch else None,
        "phone_error_audio": round(float(np.mean([r.phone_error_audio for r in rows])), 3),
        "phone_error_corpus": round(float(np.mean([r.phone_error_corpus for r in rows])), 3),
        "pitch_correlation": round(float(np.corrcoef(pitches.T)[0, 1]), 3) if len(pitches) > 2 else None,
        "style": _share(r.style == r.style_found for r in rows),
        "style_corpus": _share(left_out),
        "distance_corpus_db": round(float(np.mean([r.distance_corpus for r in rows])), 2),
        "distance_noise_db": round(float(np.mean([r.distance_noise for r in rows])), 2),
        "corpus_distance_noise_db": round(float(np.mean([spectral_distance_db(f, noise) for _, f in references])), 2),
        "ended": _share(r.ended for r in rows),
        "length_within_25_percent": _share(abs(r.seconds / r.expected_s - 1) <= 0.25 for r in rows),
        "clean": _share(r.finite and r.longest_silence_s < 1.5 for r in rows),
        "speed": round(float(np.median([r.speed for r in rows])), 3),
    }


def _share(values: Any) -> float:
    return round(float(np.mean(list(values))), 3)
