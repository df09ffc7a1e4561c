"""What ``songbloom evaluate`` reports: every measure, how it is shown, and what the bundled model should reach."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """One line of the table.

    ``unit`` is ``"%"`` for shares (kept as 0 to 1), else what stands behind the number; ``target`` is in the same form
    as the value, reached from ``below`` or from above.
    """

    name: str
    label: str
    unit: str = "%"
    target: float | None = None
    below: bool = False


MEASURES = (
    Measure("wer", "words: error rate, all errors over all words", "%", 0.25, below=True),
    Measure("wer_mean", "words: mean error rate of songs, each at most 100 %"),
    Measure("phone_error_audio", "phones: error rate, the bundled recogniser"),
    Measure("phone_error_sketch", "phones: error rate of the sketch"),
    Measure("style", "style: that of the clip", "%", 0.85),
    Measure("voice", "voice: that of the clip", "%", 0.85),
    Measure("pitch_correlation", "voice: register follows the clip's (correlation)", ""),
    Measure("tempo", "tempo: within 4 % of the clip's, octaves folded", "%", 0.80),
    Measure("key", "key: tonic and mode of the clip", "%", 0.80),
    Measure("key_or_relative", "key: the same or its relative"),
    Measure("structure", "structure: no voice in instrumental parts", "%", 0.90),
    Measure("chorus", "structure: repeated choruses on the same notes"),
    Measure("length", "length: ends by itself, within 25 %", "%", 0.90),
    Measure("ended", "length: ends by itself"),
    Measure("clean", "clean: no fault", "%", 1.0),
    Measure("clean_finite", "clean: no broken samples"),
    Measure("clean_peak", "clean: saved without clipping"),
    Measure("clean_silence", "clean: no silence over 1 s inside"),
    Measure("clean_loops", "clean: does not hang"),
    Measure("distance_corpus_db", "spectral distance to the corpus' song", "dB"),
    Measure("distance_noise_db", "spectral distance to white noise", "dB"),
    Measure("speed", "speed: seconds of computing a second of song", "s", 0.6, below=True),
    Measure("memory_gb", "memory: peak of the process that makes songs", "GB", 1.5, below=True),
    Measure("size_mb", "size: files of the model", "MB", 60.0, below=True),
)
