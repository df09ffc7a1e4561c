"""``songbloom lyrics``: sections, phonemes, expected length and warnings of a lyric, before anything is sung."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from songbloom.checkpoints.registry import DEFAULT_LOCAL_DIR
from songbloom.cli.generate import read_lyrics
from songbloom.cli.jsonl import read_rows
from songbloom.cli.terminal import DONE, FAILED, Parser, write_line
from songbloom.errors import InvalidInput
from songbloom.lyrics import LyricsReport, Reader


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog,
        "Show what a model reads in a lyric: sections, phonemes, expected length, warnings.",
        "Exit code: 0 all was read, 1 some rows of --input-jsonl were not, 2 bad input or usage.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE|-", help="the lyric, - is stdin")
    parser.add_argument(
        "--input-jsonl", type=Path, metavar="FILE",
        help="rows of text (taken as it stands) and, if wanted, processor; one JSON line a row comes out",
    )  # fmt: skip
    parser.add_argument("--processor", help="phoneme, pinyin, ... (default: the model's, else phoneme)")
    parser.add_argument("--model-name", help="warn of what this model cannot read: a name or a folder")
    parser.add_argument("--local-dir", default=DEFAULT_LOCAL_DIR, help="where models lie (default: %(default)s)")
    return parser


def run(options: argparse.Namespace) -> int:
    if (options.file is None) == (options.input_jsonl is None):
        raise InvalidInput("file", options.file, "give either a file (or -) or --input-jsonl")
    reader = _reader(options.model_name, options.local_dir)
    if options.input_jsonl is not None:
        return _rows(options.input_jsonl, partial(reader.describe, as_given=True), options.processor)
    report = reader.describe(read_lyrics(f"@{options.file}"), options.processor)
    write_line(report.as_text().rstrip("\n"))
    return DONE


def _reader(model_name: str | None, local_dir: str) -> Reader:
    if model_name is None:
        return Reader()
    from songbloom.pipeline import read_model_config

    return read_model_config(model_name, local_dir=local_dir).reader


def _rows(path: Path, describe: partial[LyricsReport], processor: str | None) -> int:
    code = DONE
    for number, row in read_rows(path):
        try:
            if isinstance(row, InvalidInput):
                raise row
            if "text" not in row:
                raise InvalidInput("text", None, "is missing; a row needs text")
            report = describe(row["text"], processor=row.get("processor") or processor).as_dict()
        except InvalidInput as error:
            report, code = {"error": str(error), "line": number}, FAILED
        write_line(json.dumps(report, ensure_ascii=False))
    return code
