"""Pictures of songs, and what every picture of this package is drawn with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from songbloom.audio import read
from songbloom.audio.mel import FRAMES_A_SECOND, HIGHEST_HZ, LOWEST_HZ, mel_levels
from songbloom.errors import InvalidInput, NotAvailable
from songbloom.files import written_aside

COLUMNS = 1200  # of the waveform
DYNAMICS_DB = 70
INK = "#7c3aed"
KINDS = (".png", ".svg", ".pdf")


@contextmanager
def drawing(output: Path, rows: int, **options: Any) -> Iterator[tuple[Any, Any]]:
    """A figure of ``rows`` axes over each other and those axes; written aside to ``output`` and renamed in the end.

    Raises:
        InvalidInput: ``output`` is no picture by its name.
        NotAvailable: matplotlib, of the extra ``train``, is missing.
    """
    if output.suffix.lower() not in KINDS:
        raise InvalidInput("output", str(output), f"must end with {', '.join(KINDS)}")
    try:
        import matplotlib
    except ImportError as error:
        raise NotAvailable("Drawing needs matplotlib: pip install 'songbloom[train]'.") from error
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(rows, 1, sharex=True, squeeze=False, **options)
    try:
        yield figure, axes[:, 0]
        figure.tight_layout()
        with written_aside(output) as aside:
            figure.savefig(aside, format=output.suffix.lstrip(".").lower())
    finally:
        pyplot.close(figure)


def draw_song(song: Path, output: Path) -> Path:
    """Waveform and spectrogram (mel, 60 Hz to 12 kHz, 70 dB) of an audio file, drawn into ``output``.

    Raises:
        InvalidInput: the file holds no audio.
        NotAvailable: matplotlib is missing.
    """
    audio, sample_rate = read(song)
    seconds = audio.shape[1] / sample_rate
    columns = np.array_split(audio.mean(0), min(COLUMNS, audio.shape[1]))
    times = np.linspace(0, seconds, len(columns))
    levels = mel_levels(audio, sample_rate)
    with drawing(output, 2, figsize=(10, 4.2), gridspec_kw={"height_ratios": [1, 2.4]}) as (_, (wave, spectrum)):
        wave.fill_between(times, [c.min() for c in columns], [c.max() for c in columns], color=INK, linewidth=0)
        wave.set_ylim(-1, 1)
        wave.set_yticks([])
        top, (below, above) = levels.max(), (2595 * np.log10(1 + hz / 700) for hz in (LOWEST_HZ, HIGHEST_HZ))
        spectrum.imshow(
            levels.T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=top - DYNAMICS_DB,
            vmax=top,
            extent=(0, len(levels) / FRAMES_A_SECOND, below, above),
        )
        marks = (100, 300, 1000, 3000, 10000)
        spectrum.set_yticks([2595 * np.log10(1 + hz / 700) for hz in marks], [f"{hz:,} Hz" for hz in marks])
        spectrum.set_xlim(0, seconds)
        spectrum.set_xlabel("seconds")
    return output
