"""Ten-second style clips from songs no training corpus has."""

from __future__ import annotations

import os
from pathlib import Path

import soundfile

from songbloom.corpus.compose import compose
from songbloom.corpus.render import SAMPLE_RATE, Studio
from songbloom.corpus.score import Score
from songbloom.corpus.settings import STYLES, CorpusSettings
from songbloom.errors import InvalidInput, OutputError

CLIP_S = 10.0
# One clip a style; voices take turns, and tempi step through the range so that neighbours differ.
VOICE_ORDER = ("hibari", "low", "bright")
TEMPI = (75.0, 115.0, 136.0, 94.0, 83.0, 125.0, 71.5, 107.0, 88.0, 100.0)
FIRST_SEED = 7_000


def style_clip_score(number: int) -> Score:
    """The song clip ``number`` is cut from: held-out words, and a stream of seeds that no corpus uses."""
    style = STYLES[number % len(STYLES)]
    tempo = TEMPI[number % len(TEMPI)]
    settings = CorpusSettings(
        held_out=True,
        styles=(style,),
        voices=(VOICE_ORDER[number % len(VOICE_ORDER)],),
        bpm=(tempo, tempo),
        duration_s=(16.0, 24.0),
    )
    # Negative seeds: corpora count up from 0.
    return compose(-(FIRST_SEED + number), settings)


def write_style_clips(
    folder: str | os.PathLike[str], n_clips: int = len(STYLES), studio: Studio | None = None
) -> list[Path]:
    """Render clips of 10 s to ``NN_style_voice.flac`` (48 kHz stereo); their paths.

    A clip starts with the bar in which the voice comes in, so that it has both the band and the voice.

    Raises:
        InvalidInput: ``n_clips`` is not above 0.
        NotAvailable: the packages of the extra ``corpus`` are missing.
        OutputError: the folder cannot be written.
    """
    if n_clips < 1:
        raise InvalidInput("n_clips", n_clips, "must be 1 or more.")
    root = Path(folder)
    studio = studio or Studio()
    paths = []
    for number in range(n_clips):
        score = style_clip_score(number)
        bar_s = 240.0 / score.bpm
        start_s = max(0.0, min(score.phones[0].start_s - bar_s / 2, score.duration_s - CLIP_S))
        first = int(start_s * SAMPLE_RATE)
        audio = studio.render(score)[:, first : first + int(CLIP_S * SAMPLE_RATE)].copy()
        fade = SAMPLE_RATE // 100
        audio[:, :fade] *= [i / fade for i in range(fade)]
        audio[:, -fade:] *= [1 - i / fade for i in range(fade)]
        path = root / f"{number:02d}_{score.card.style}_{score.card.voice}.flac"
        aside = path.with_name(f".{path.name}")
        try:
            root.mkdir(parents=True, exist_ok=True)
            soundfile.write(aside, audio.T, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
            aside.replace(path)
        except (OSError, soundfile.LibsndfileError) as error:
            aside.unlink(missing_ok=True)
            raise OutputError(f"Cannot write {path}: {error}") from error
        paths.append(path)
    return paths
