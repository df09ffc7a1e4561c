"""The guide's command line: ``python app.py [--share] [--server-port 7860] ...`` is ``songbloom studio``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from songbloom.cli import studio
from songbloom.cli.terminal import run_command


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(studio.build_parser("app.py"), studio.run, argv)


if __name__ == "__main__":
    sys.exit(main())
