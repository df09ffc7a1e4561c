"""What every command shares: results on stdout, messages and progress on stderr, errors as one line."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm

from songbloom.errors import InvalidInput, SongBloomError

log = logging.getLogger(__name__)

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def write_line(text: str) -> None:
    """One result on stdout, visible at once. What the terminal's encoding cannot show is escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


class Parser(argparse.ArgumentParser):
    """Options are never abbreviated, and a wrong one is a single line on stderr."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Without a default of its own, so that a sub-command does not undo what stands before it.
        suppressed = argparse.SUPPRESS
        about = "tell more; show where an error comes from"
        self.add_argument("-v", "--verbose", action="store_true", default=suppressed, help=about)

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"songbloom: error: {message} (see {self.prog} --help)\n")


def run_command(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int], arguments: Sequence[str] | None
) -> int:
    """Parse ``arguments``, run the command, and turn every error into one line and an exit code.

    Messages are shown from the level ``options.log_level`` on if the parser sets one, else warnings and errors.
    """
    options = parser.parse_args(arguments)
    verbose = getattr(options, "verbose", False)
    with _messages(logging.INFO if verbose else getattr(options, "log_level", logging.WARNING)):
        try:
            return run(options)
        except KeyboardInterrupt:
            log.error("interrupted; files already written are whole")
            return INTERRUPTED
        except BrokenPipeError:
            # The reader of our results has gone (songbloom models | head): nobody is left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except (Exception, MemoryError) as error:
            log.error("%s", _describe(error), exc_info=error if verbose else None)
            return BAD_INPUT if isinstance(error, InvalidInput) else FAILED


def _describe(error: BaseException) -> str:
    if isinstance(error, SongBloomError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without importing it
        return "out of memory; try --dtype bfloat16, fewer --n-samples, or a shorter --max-duration"
    if isinstance(error, OSError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error} (-v shows where; please report it)"


class _Messages(logging.Handler):
    """Log records as lines on stderr that do not disturb a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno >= logging.WARNING:
            return f"songbloom: {record.levelname.lower()}: {text}"
        return text


@contextmanager
def _messages(level: int) -> Iterator[None]:
    """Show the package's messages from ``level`` on while a command runs."""
    logger = logging.getLogger("songbloom")
    handler, before = _Messages(), logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
