"""The command ``songbloom``. Each module here parses, calls and prints one command; the work is done elsewhere.

A command's module is imported only when it is asked for, so that ``songbloom --help`` stays quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from songbloom import __version__
from songbloom.cli.terminal import BAD_INPUT, DONE, INTERRUPTED, run_command, write_line

#: command (and its module in this package) -> what it does
COMMANDS = {
    "generate": "make songs from lyrics and style clips",
    "lyrics": "show what a model reads in a lyric",
    "models": "list the known models",
    "download": "bring a published model",
    "convert": "write a model in our own safetensors form",
    "quantize": "write a model with weights of 8 or 4 bits",
    "corpus": "compose and sing songs to train on",
    "train": "train the bundled model",
    "picture": "draw waveform and spectrogram of a song",
    "bench": "measure what a song costs on this machine",
    "evaluate": "measure a model on held-out lyrics and clips",
    "serve": "serve songs over HTTP",
    "studio": "make songs in a web page",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 bad input or usage, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else ""
    if name in ("-h", "--help", "help"):
        write_line(_usage())
        return DONE
    if name in ("-V", "--version"):
        write_line(f"songbloom {__version__}")
        return DONE
    if name not in COMMANDS:
        problem = f"there is no command {name!r}" if name else "no command given"
        sys.stderr.write(f"songbloom: error: {problem}; choose one of {', '.join(COMMANDS)} (see songbloom --help)\n")
        return BAD_INPUT
    try:
        command = import_module(f"songbloom.cli.{name}")
    except KeyboardInterrupt:
        return INTERRUPTED
    return run_command(command.build_parser(f"songbloom {name}"), command.run, arguments[1:])


def _usage() -> str:
    lines = [f"  {name:<10}{about}" for name, about in COMMANDS.items()]
    return "\n".join(
        [
            "usage: songbloom COMMAND [options]",
            "",
            "Whole songs from lyrics and ten seconds of style.",
            "",
            *lines,
            "",
            "songbloom COMMAND --help tells the options of a command.",
        ]
    )
