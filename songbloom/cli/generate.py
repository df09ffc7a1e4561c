"""``songbloom generate``: songs from a lyric and a style clip, or from every line of a JSONL file."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from songbloom.checkpoints.registry import DEFAULT_LOCAL_DIR
from songbloom.cli.jsonl import read_requests
from songbloom.cli.model_options import add_model_options, model_options
from songbloom.cli.terminal import DONE, FAILED, Parser, write_line
from songbloom.errors import InvalidInput, OutputError
from songbloom.files import check_target
from songbloom.request import GUIDANCE, PROFILES, SOLVERS, SongRequest, SongSettings

if TYPE_CHECKING:
    from songbloom.pipeline import Progress, SongBloom

log = logging.getLogger(__name__)

MOST_SAMPLES = 64
EXIT_CODES = "Exit code: 0 every song was written, 1 some were not, 2 bad input or usage, 130 interrupted."


@dataclass(frozen=True)
class Job:
    """A song to make; ``place`` is where the user asked for it, put before what is said about it."""

    place: str
    request: SongRequest


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog, "Make songs from lyrics and style clips.", EXIT_CODES)
    add = parser.add_argument
    add("--lyrics", metavar="TEXT|@FILE", help="the lyrics, or @ and the file that holds them (@- is stdin)")
    add("--prompt-wav", metavar="FILE", help="style clip: an audio file of at least 1 s, better 10 s")
    add("--prompt-start", type=float, default=0.0, metavar="S", help="where in the file the clip begins, in seconds")
    add("--idx", default="song", help="name of the song and its file (default: %(default)s)")
    add("--input-jsonl", type=Path, metavar="FILE", help="a song a line: idx, lyrics, prompt_wav, settings")
    add("--model-name", default="songbloom_mini", help="a name or a folder (default: %(default)s)")
    add("--local-dir", default=DEFAULT_LOCAL_DIR, help="where downloaded models lie (default: %(default)s)")
    add("--output-dir", type=Path, default=Path("output"), help="folder for the songs (default: %(default)s)")
    add("--format", default="flac", help="flac, wav, mp3, ogg or opus (default: %(default)s)")
    add("--subtype", help="flac: 24 or 16; wav: 24, 16 or float (default: 24)")
    add("--loudness", type=float, metavar="LUFS", help="level songs to this loudness, -14 is usual (default: as made)")
    add("--overwrite", action=argparse.BooleanOptionalAction, default=True,
        help="replace songs of the same name, or leave them and make only those that are missing")  # fmt: skip
    add("--n-samples", type=int, default=1, help="different songs of each request, idx_0, idx_1, ... (default: 1)")
    add("--batch-size", type=int, default=1, help="songs of --input-jsonl made side by side (default: 1)")
    add("--stream", metavar="-", help="write one song to standard output while it is composed, as a 16-bit WAV file")
    add("--seed", type=int, help="0 to 2**63 - 1; the same seed makes the same song (default: drawn)")
    add_model_options(parser)
    add("--profile", choices=PROFILES, default="none",
        help="auto: all of these by the memory that is free (default: %(default)s)")  # fmt: skip
    add("--cfg-coef", type=float, help="guidance, 0 to 5; 1 is none")
    add("--steps", type=int, help="diffusion steps, 10 to 100; fewer where the model allows it")
    add("--top-k", type=int, help="candidates for each sketch token; 0 keeps all")
    add("--top-p", type=float, default=0.0, help="0 to 1; above 0 it replaces --top-k")
    add("--min-p", type=float, default=0.0, help="0 to 1; drops tokens below this share of the likeliest")
    add("--temperature", type=float, help="of the sketch, 0 to 2")
    add("--diffusion-temperature", type=float, help="of the sound, 0 to 1")
    add("--guidance", help=f"what the refiner is guided by: {', '.join(GUIDANCE)}")
    add("--guidance-from", type=float, default=1.0, metavar="T", help="flow time from which 'h' guides (default: 1)")
    add("--guidance-to", type=float, default=0.0, metavar="T", help="flow time down to which it does (default: 0)")
    add("--solver", help=f"of the flow: {', '.join(SOLVERS)} (default: the model's own)")
    add("--max-duration", type=float, metavar="S", help="longest song in seconds, rounded up to a whole block")
    return parser


def run(options: argparse.Namespace) -> int:
    """Everything that can be wrong is looked for before the first song is begun."""
    settings = SongSettings(**{f.name: getattr(options, f.name) for f in fields(SongSettings)})
    samples = options.n_samples
    if not 1 <= samples <= MOST_SAMPLES:
        raise InvalidInput("n_samples", samples, f"must be a whole number from 1 to {MOST_SAMPLES}")
    if not 1 <= options.batch_size <= MOST_SAMPLES:
        raise InvalidInput("batch_size", options.batch_size, f"must be a whole number from 1 to {MOST_SAMPLES}")
    jobs, failed = _jobs(options, settings)
    if options.stream is not None:
        return _stream(options, jobs) or (FAILED if failed else DONE)
    _check_format(options)
    make_folder(options.output_dir)
    wanted = [job for job in jobs if options.overwrite or not _all_there(job, options)]
    if not wanted:
        return FAILED if failed else DONE

    for path in (path for job in wanted for path in _targets(job, options)):
        check_target(path)
        check_target(path.with_suffix(".json"))
    model = _load(options)
    ready = []
    for job in wanted:
        try:
            prepared = model.prepare(job.request)
        except InvalidInput as error:
            failed += _report(job.place, error)
            continue
        for warning in prepared.warnings:
            log.warning("%s%s", job.place, warning)
        ready.append(job)
    for begin in range(0, len(ready), options.batch_size):
        batch = ready[begin : begin + options.batch_size]
        names = " ".join(job.request.idx for job in batch)
        failed += _make(model, batch, options, f"{begin + len(batch)}/{len(ready)} {names}")
    return FAILED if failed else DONE


def _load(options: argparse.Namespace) -> SongBloom:
    import songbloom

    return songbloom.load(
        options.model_name, local_dir=options.local_dir, profile=options.profile, **model_options(options)
    )


def _stream(options: argparse.Namespace, jobs: list[Job]) -> int:
    """One song to standard output, each block as soon as it can be heard."""
    if options.stream != "-":
        raise InvalidInput("stream", options.stream, "only '-', standard output, is known; use --output-dir for files")
    if len(jobs) != 1 or options.n_samples != 1:
        raise InvalidInput("stream", options.stream, "takes one song; give one request and one sample")
    from songbloom.audio.wav_stream import pcm16, wav_header

    model = _load(options)
    prepared = model.prepare(jobs[0].request)
    for warning in prepared.warnings:
        log.warning("%s", warning)
    out = sys.stdout.buffer
    out.write(wav_header(model.vae.sample_rate, model.vae.audio_channels))
    try:
        for audio in model.stream(prepared):
            out.write(pcm16(audio))
            out.flush()
    except BrokenPipeError:  # the listener has heard enough; nothing is left to flush to
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    return DONE


def _jobs(options: argparse.Namespace, settings: SongSettings) -> tuple[list[Job], int]:
    """The songs asked for, and how many lines were too bad to become one."""
    if options.input_jsonl is None:
        if options.lyrics is None or options.prompt_wav is None:
            remedy = "give --lyrics and --prompt-wav, or --input-jsonl"
            raise InvalidInput("prompt_wav" if options.lyrics is not None else "lyrics", None, remedy)
        lyrics = read_lyrics(options.lyrics)
        return [Job("", SongRequest(lyrics, options.prompt_wav, options.prompt_start, options.idx, settings))], 0
    if options.lyrics is not None or options.prompt_wav is not None:
        raise InvalidInput("input_jsonl", str(options.input_jsonl), "brings lyrics and clips; leave out the other two")
    jobs, failed = [], 0
    for number, found in read_requests(options.input_jsonl, settings, options.prompt_start):
        place = f"{options.input_jsonl.name} line {number}: "
        if isinstance(found, InvalidInput):
            failed += _report(place, found)
        else:
            jobs.append(Job(place, found))
    return jobs, failed


def read_lyrics(text: str) -> str:
    """``text`` itself, or the contents of the file after its '@'; '@-' is stdin."""
    if not text.startswith("@"):
        return text
    try:
        data = sys.stdin.buffer.read() if text == "@-" else Path(text[1:]).read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("lyrics", text, "is not UTF-8 text; save the file as UTF-8") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput("lyrics", text, f"cannot be read ({reason})") from error


def make_folder(folder: Path) -> None:
    """Make ``folder`` and see that files can be written to it.

    Raises:
        OutputError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error}); choose another folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: no permission to write here; choose another folder")


def _check_format(options: argparse.Namespace) -> None:
    from songbloom.audio import writable_format

    options.format = writable_format(Path("song"), options.format).name
    subtypes = writable_format(Path("song"), options.format).subtypes
    if options.subtype is not None and options.subtype not in subtypes:
        remedy = f"is not a kind of {options.format}; choose one of {', '.join(subtypes)}"
        raise InvalidInput("subtype", options.subtype, remedy)
    if options.loudness is not None and not -70 <= options.loudness <= 0:
        raise InvalidInput("loudness", options.loudness, "must be between -70 and 0 LUFS; -14 is usual")


def _targets(job: Job, options: argparse.Namespace) -> list[Path]:
    idx, count = job.request.idx, options.n_samples
    names = [idx] if count == 1 else [f"{idx}_{i}" for i in range(count)]
    return [options.output_dir / f"{name}.{options.format}" for name in names]


def _all_there(job: Job, options: argparse.Namespace) -> bool:
    there = all(path.is_file() for path in _targets(job, options))
    if there:
        log.warning("%s%s is there already and is left as it is", job.place, job.request.idx)
    return there


def _report(place: str, error: InvalidInput) -> int:
    """Tell of one song that cannot be made. Without a place it is the only one, and ends the command."""
    if not place:
        raise error
    log.error("%s%s", place, error)
    return 1


def _make(model: SongBloom, jobs: list[Job], options: argparse.Namespace, label: str) -> int:
    """Make the songs of ``jobs`` side by side and save them; how many requests failed."""
    prepared = [model.prepare(job.request) for job in jobs]
    with SongBar(label, max(p.expected_s for p in prepared)) as bar:
        made = model.generate_batch(prepared, options.n_samples, progress=bar.show)
        bar.done()
    failed = 0
    for job, songs in zip(jobs, made, strict=True):
        try:
            for song, path in zip(songs, _targets(job, options), strict=True):
                if not options.overwrite and path.is_file():  # one of several; the others were missing
                    continue
                song.save(path, format=options.format, subtype=options.subtype, loudness_lufs=options.loudness)
                write_line(str(path))
        except InvalidInput as error:
            failed += _report(job.place, error)
    return failed


class SongBar:
    """Progress of songs on stderr: seconds of song, percentage, time left."""

    def __init__(self, label: str, expected_s: float) -> None:
        self._bar: tqdm[Iterable[None]] = tqdm(
            total=expected_s,
            desc=label,
            bar_format="{desc}: {percentage:3.0f}%|{bar:20}| {n:.1f} of {total:.1f} s of song{postfix}",
        )

    def __enter__(self) -> SongBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, progress: Progress) -> None:
        self._bar.total = progress.expected_s
        left = progress.left_s
        text = "longer than expected" if left is None else f"about {tqdm.format_interval(left)} left"
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(progress.song_s - self._bar.n)

    def done(self) -> None:
        """The songs have ended, which is sooner than expected now and then."""
        self._bar.total = self._bar.n or self._bar.total
        self._bar.set_postfix_str("done")
