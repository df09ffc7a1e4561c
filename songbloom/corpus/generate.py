"""Write a corpus folder: songs in pairs that share a card, resumable, in several processes."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import soundfile

from songbloom.corpus.compose import compose
from songbloom.corpus.render import SAMPLE_RATE, Studio
from songbloom.corpus.score import Score
from songbloom.corpus.settings import CorpusSettings
from songbloom.errors import InvalidInput, OutputError
from songbloom.files import read_json_lines

logger = logging.getLogger(__name__)

MANIFEST, CORPUS = "manifest.jsonl", "corpus.json"
SONGS_PER_SEED = 1_000_000
BATCH = 8


def song_score(number: int, seed: int, settings: CorpusSettings) -> Score:
    """Song ``number`` of a corpus: songs 0 and 1, 2 and 3 and so on share a card (style, voice, tempo, key)."""
    first = seed * SONGS_PER_SEED + number - number % 2
    score = compose(first, settings)
    return score if number % 2 == 0 else compose(first + 1, settings, card=score.card)


def write_corpus(
    folder: str | os.PathLike[str],
    *,
    hours: float | None = None,
    n_songs: int | None = None,
    seed: int = 0,
    settings: CorpusSettings | None = None,
    workers: int = 1,
) -> int:
    """Write songs until there are enough; songs the folder has already count and are not made again.

    Each song is ``songNNNNNN.flac`` (48 kHz stereo, 16 bit) and ``songNNNNNN.json`` (`Score.to_json`);
    ``manifest.jsonl`` has one line a finished song: number, files, duration, pair, card, held_out, words.

    Args:
        folder: made if missing.
        hours: hours of audio wanted; or
        n_songs: number of songs wanted.
        seed: which songs: corpora of different seeds share none.
        settings: limits of the songs; those of an existing folder must be equal.
        workers: processes.

    Returns:
        Number of songs in the folder.

    Raises:
        InvalidInput: neither or both of ``hours`` and ``n_songs``, or a folder of other settings.
        NotAvailable: the packages of the extra ``corpus`` are missing.
        OutputError: the folder cannot be written.
    """
    if (hours is None) == (n_songs is None):
        raise InvalidInput("hours", hours, "give either hours or n_songs.")
    name, given = ("songs", n_songs) if hours is None else ("hours", hours)
    if given is None or not 0 < given < math.inf:
        raise InvalidInput(name, given, "must be above 0.")
    wanted = float(given) if hours is None else given * 3600
    if workers < 1:
        raise InvalidInput("workers", workers, "must be 1 or more.")
    settings = settings or CorpusSettings()
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        _claim(root, seed, settings)
    except OSError as error:
        raise OutputError(f"Cannot write the corpus to {root}: {error}") from error
    rows = {row["number"]: row for row in read_manifest(root)}
    _write_manifest(root, rows.values())
    with _runner(workers, root, seed, settings) as run:
        _produce(root, rows, wanted, hours is not None, run)
    return len(rows)


def _produce(root: Path, rows: dict[int, dict[str, Any]], wanted: float, by_time: bool, run: Any) -> None:
    def amount() -> float:
        return sum(row["duration_s"] for row in rows.values()) if by_time else float(len(rows))

    began, before = time.monotonic(), amount()
    number = 0
    with (root / MANIFEST).open("a", encoding="utf-8") as manifest:
        while amount() < wanted:
            batch: list[int] = []
            while len(batch) < (BATCH if by_time else min(BATCH, int(wanted - len(rows)))):
                if number not in rows:
                    batch.append(number)
                number += 1
            for row in run(batch):
                rows[row["number"]] = row
                # One write per line: a line is there whole or, after a crash, cut at the end and ignored.
                manifest.write(json.dumps(row) + "\n")
                manifest.flush()
            rate = (amount() - before) / max(time.monotonic() - began, 1e-9)
            left = max(wanted - amount(), 0) / max(rate, 1e-9)
            unit = "s of song" if by_time else "songs"
            logger.info("%d songs, %.0f of %.0f %s, %.0f s left", len(rows), amount(), wanted, unit, left)


@contextlib.contextmanager
def _runner(workers: int, root: Path, seed: int, settings: CorpusSettings) -> Iterator[Any]:
    if workers == 1:
        job = functools.partial(_write_song, Studio(), root, seed, settings)
        yield lambda numbers: map(job, numbers)
        return
    with ProcessPoolExecutor(workers) as pool:
        job = functools.partial(_write_in_worker, root, seed, settings)
        yield lambda numbers: pool.map(job, numbers)


@functools.cache
def _worker_studio() -> Studio:
    """The studio of this process, which loads the voice once."""
    return Studio()


def _write_in_worker(root: Path, seed: int, settings: CorpusSettings, number: int) -> dict[str, Any]:
    return _write_song(_worker_studio(), root, seed, settings, number)


def _write_song(studio: Studio, root: Path, seed: int, settings: CorpusSettings, number: int) -> dict[str, Any]:
    score = song_score(number, seed, settings)
    audio = studio.render(score)
    stem = f"song{number:06d}"
    partial_audio, partial_score = root / f".{stem}.flac", root / f".{stem}.json"
    try:
        soundfile.write(partial_audio, audio.T, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        partial_score.write_text(score.to_json(), encoding="utf-8")
        partial_audio.replace(root / f"{stem}.flac")
        partial_score.replace(root / f"{stem}.json")
    except (OSError, soundfile.LibsndfileError) as error:
        partial_audio.unlink(missing_ok=True)
        partial_score.unlink(missing_ok=True)
        raise OutputError(f"Cannot write {stem} to {root}: {error}") from error
    return {
        "number": number,
        "audio": f"{stem}.flac",
        "score": f"{stem}.json",
        "duration_s": score.duration_s,
        "pair": number // 2,
        "held_out": score.held_out,
        "card": asdict(score.card),
        "lyrics": score.lyrics,
        "text": score.text,
    }


def read_manifest(root: Path) -> Iterator[dict[str, Any]]:
    """Rows of finished songs, without a line that was cut by a crash."""
    for row in read_json_lines(root / MANIFEST):
        if (root / row["audio"]).exists() and (root / row["score"]).exists():
            yield row


def _write_manifest(root: Path, rows: Iterable[dict[str, Any]]) -> None:
    aside = root / f".{MANIFEST}"
    aside.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    aside.replace(root / MANIFEST)


def corpus_name(folder: Path) -> str:
    """A name for the songs of a folder that other songs do not share: of what it holds, or else of where it is.

    Folders of the same seed and settings hold the same songs, wherever they are.
    """
    described = folder / CORPUS
    told = described.read_bytes() if described.is_file() else os.fsencode(folder.resolve())
    return hashlib.sha256(told).hexdigest()[:12]


def _claim(root: Path, seed: int, settings: CorpusSettings) -> None:
    """Write what the folder holds, or check that it holds the same."""
    described = json.loads(json.dumps({"seed": seed, **asdict(settings)}))
    path = root / CORPUS
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != described:
            raise InvalidInput("folder", str(root), "holds a corpus of other settings; choose another folder.")
        return
    aside = root / f".{CORPUS}"
    aside.write_text(json.dumps(described, indent=1), encoding="utf-8")
    aside.replace(path)
