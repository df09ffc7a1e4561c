"""schemathesis over the whole of a live server's OpenAPI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from tests.serve.server import ROOT, Server

#: What makes the pretending server quick enough to be asked thousands of times.
SETTINGS = {"sync_timeout_s": 1, "fake_most_blocks": 3, "fake_block_s": 0, "max_queue": 100_000}


@dataclass(frozen=True)
class FuzzReport:
    cases: int
    failed: bool
    text: str


def fuzz(server: Server, examples: int, *options: str, timeout_s: float = 3600) -> FuzzReport:
    """Every check on every operation, with ``examples`` random requests each beside those at the limits."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--checks", "all",
        "--max-examples", str(examples), "--request-timeout", "20", "--continue-on-failure", *options,
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.serve.fuzz_hooks"}
    environment["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as folder:  # it leaves its notes where it runs
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s)
    text = done.stdout + done.stderr
    found = re.search(r"(\d+) generated", text)
    return FuzzReport(int(found[1]) if found else 0, done.returncode != 0, text)
