"""The service with workers that only pretend: ``python -m tests.serve.fake_server``."""

from __future__ import annotations

import logging
import sys

from songbloom.serve.run import serve
from songbloom.serve.settings import ServeSettings

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    serve(ServeSettings.read({}), worker_command=[sys.executable, "-m", "tests.serve.fake_worker"])
