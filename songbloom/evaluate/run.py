"""``songbloom evaluate``: songs from held-out lyrics and clips, measured beside the corpus' own rendering of them.

All songs are made before any is measured, so that the memory reported is that of making songs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from songbloom.audio import resample
from songbloom.corpus.render import SAMPLE_RATE, Studio
from songbloom.corpus.timing import FRAME_S
from songbloom.errors import NotAvailable
from songbloom.evaluate.cost import peak_memory_gb
from songbloom.evaluate.held_out import HeldOutSong, held_out_song, write_clip
from songbloom.evaluate.judge import Judge, Performance, SongMeasures, listen_to_references
from songbloom.evaluate.stages import STAGES, stage_audio
from songbloom.evaluate.summary import summarise
from songbloom.evaluate.targets import MEASURES
from songbloom.evaluate.words import INSTALL, Listener, WordErrors, pooled_rate
from songbloom.model.sketch_codes import NUM_CODES
from songbloom.pipeline import Prepared, SongBloom
from songbloom.request import SongRequest, SongSettings
from songbloom.song import Song
from songbloom.train.examples import example_from_score


@dataclass(frozen=True)
class Made:
    """A song of the model; ``song.audio`` is read from a file when it is needed."""

    asked: HeldOutSong
    prepared: Prepared
    song: Song
    speed: float  # seconds of computing a second of song


@dataclass(frozen=True)
class Row:
    """One evaluated song; ``stages`` has the word errors of each stage heard."""

    made: Made
    model: SongMeasures
    corpus: SongMeasures
    stages: dict[str, WordErrors]


def evaluate(
    model: SongBloom,
    songs: int,
    *,
    settings: SongSettings | None = None,
    stages: bool = False,
    size_mb: float | None = None,
    studio: Studio | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure ``songs`` songs of ``model``; needs the extra ``corpus``, and ``evaluate`` to hear words.

    Args:
        settings: of generation; song k has their seed (0 by default) + k.
        stages: also tell where words get lost (:mod:`songbloom.evaluate.stages`).
        size_mb: of the model's files, to be reported.
        studio: renders the corpus' songs.
        progress: called with the steps done and their number; each song is one to make and one to measure.

    Returns:
        Plain JSON types: ``measures`` by name with the values of ``model`` and ``corpus`` and the ``target``,
        ``not_measured`` by name with the reason, ``stages`` (word error rates by stage, None if not asked for), and
        one entry of ``songs`` each.

    Raises:
        NotAvailable: the packages of the extra ``corpus`` are missing.
    """
    studio, step = studio or Studio(), _steps(progress, 2 * songs)
    settings = settings or SongSettings()
    # Windows cannot remove files that are still mapped.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = [_make(model, held_out_song(n), settings, studio, Path(folder), step) for n in range(songs)]
        memory_gb = peak_memory_gb()
        listener, not_measured = _listener()
        judge = Judge(listen_to_references(studio), listener)
        rows = [_measure(model, one, judge, studio, stages and listener is not None, step) for one in made]
    asked = [one.asked for one in made]
    own = summarise(asked, [row.model for row in rows])
    own |= {"speed": float(np.median([one.speed for one in made])), "memory_gb": memory_gb, "size_mb": size_mb}
    corpus = summarise(asked, [row.corpus for row in rows])
    measures = {m.name: {"model": own.get(m.name), "corpus": corpus.get(m.name), "target": m.target} for m in MEASURES}
    lost = {name: pooled_rate([row.stages[name] for row in rows if name in row.stages]) for name in STAGES}
    result = {
        "model": model.name,
        "measures": measures,
        "not_measured": not_measured,
        "stages": lost if stages else None,
        "songs": [_plain_row(row) for row in rows],
    }
    rounded: dict[str, Any] = _rounded(result)
    return rounded


def _steps(progress: Callable[[int, int], None] | None, total: int) -> Callable[[], None]:
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return step


def _listener() -> tuple[Listener | None, dict[str, str]]:
    """A listener, and what is not measured for want of one."""
    try:
        return Listener(), {}
    except NotAvailable:
        return None, dict.fromkeys(("wer", "wer_mean"), f"not measured: {INSTALL}")


def _make(
    model: SongBloom, asked: HeldOutSong, settings: SongSettings, studio: Studio, folder: Path, step: Callable[[], None]
) -> Made:
    request = SongRequest(
        lyrics=asked.lyrics,
        prompt_wav=write_clip(studio, asked.score, folder),
        idx=f"evaluate_{asked.number}",
        settings=replace(settings, seed=settings.seed_of(asked.number)),
    )
    prepared = model.prepare(request)
    began = time.monotonic()
    song = model.generate(prepared)
    took = time.monotonic() - began
    # Only one song's audio is kept in memory, whatever their number.
    path = folder / f"song_{asked.number}.npy"
    np.save(path, song.audio)
    kept = replace(song, audio=np.load(path, mmap_mode="r"))
    step()
    return Made(asked, prepared, kept, took / song.seconds)


def _measure(model: SongBloom, made: Made, judge: Judge, studio: Studio, stages: bool, step: Callable[[], None]) -> Row:
    score, song = made.asked.score, made.song
    audio = np.array(song.audio)
    corpus_audio = studio.render(score)
    frame_rate = model.vae.sample_rate / model.vae.downsampling_ratio
    own = Performance(
        audio=audio,
        sample_rate=song.sample_rate,
        codes=song.tokens if model.config.net.num_pitch == NUM_CODES else None,
        tokens=song.tokens,
        frame_rate=frame_rate,
        phonemes=song.phonemes,
        words=made.asked.words,
        seconds_per_tag=model.config.seconds_per_tag,
        ended=song.ended,
    )
    true_tokens = example_from_score(score, 1 / FRAME_S, 1).tokens
    true = Performance(
        audio=corpus_audio,
        sample_rate=SAMPLE_RATE,
        codes=true_tokens,
        tokens=true_tokens,
        frame_rate=1 / FRAME_S,
        phonemes=score.lyrics,
        words=made.asked.words,
        seconds_per_tag=1.0,
        ended=True,
    )
    measured, measured_corpus = judge.measure(own, corpus_audio), judge.measure(true, corpus_audio)
    heard = {"corpus": measured_corpus.errors, "song": measured.errors}
    if stages and made.asked.words:
        fitting = resample(corpus_audio, SAMPLE_RATE, model.vae.sample_rate)
        for name, part in stage_audio(model, made.prepared, score, fitting).items():
            heard[name] = judge.errors(part, model.vae.sample_rate, made.asked.words)
    step()
    return Row(made, measured, measured_corpus, {name: found for name, found in heard.items() if found is not None})


def _plain_row(row: Row) -> dict[str, Any]:
    score = row.made.asked.score
    return {
        "number": row.made.asked.number,
        "style": score.card.style,
        "voice": score.card.voice,
        "bpm": score.bpm,
        "key": score.card.key,
        "mode": score.card.mode,
        "expected_s": score.duration_s,
        "speed": row.made.speed,
        "model": asdict(row.model),
        "corpus": asdict(row.corpus),
        "stages": {name: found._asdict() for name, found in row.stages.items()},
    }


def _rounded(value: Any) -> Any:
    """Plain JSON types, numbers to four places."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, WordErrors):
        return _rounded(value._asdict())
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
