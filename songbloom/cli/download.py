"""``songbloom download``: bring a published model, showing how far it is and what each copy says of its licence."""

from __future__ import annotations

import argparse
from types import TracebackType

from tqdm import tqdm

from songbloom.checkpoints.download import download
from songbloom.checkpoints.registry import DEFAULT_LOCAL_DIR, find
from songbloom.checkpoints.transfer import Progress
from songbloom.cli.terminal import DONE, Parser, write_line


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog, "Bring a published model. The same command continues an interrupted download.")
    parser.add_argument("name", metavar="NAME", help="a name of `songbloom models`")
    parser.add_argument("--local-dir", default=DEFAULT_LOCAL_DIR, help="where to put it (default: %(default)s)")
    return parser


def run(options: argparse.Namespace) -> int:
    release = find(options.name)
    write_line(f"{release.name}: licence: {release.licence}")
    with FileBar() as bar:
        report = download(release, options.local_dir, progress=bar.show)
    for source, licence in report.licences.items():
        write_line(f"licence as stated by {source}: {licence}")
    write_line(str(report.folder))
    return DONE


class FileBar:
    """One progress bar a file, on stderr."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._file = ""

    def __enter__(self) -> FileBar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Progress) -> None:
        if self._bar is None or self._file != progress.file:
            if self._bar is not None:
                self._bar.close()
            self._file = progress.file
            self._bar = tqdm(
                desc=progress.file, initial=progress.bytes_done, unit="B", unit_scale=True, unit_divisor=1000
            )
        self._bar.total = progress.bytes_total
        self._bar.update(progress.bytes_done - self._bar.n)
