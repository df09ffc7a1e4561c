"""The guide's command line: ``python api_server.py [--host HOST] [--port PORT] [--reload]`` is ``songbloom serve``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from songbloom.cli import serve
from songbloom.cli.terminal import run_command


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(serve.build_parser("api_server.py"), serve.run, argv)


if __name__ == "__main__":
    sys.exit(main())
