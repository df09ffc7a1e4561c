"""The studio with workers that only pretend: ``python -m tests.studio.fake_studio``."""

from __future__ import annotations

import logging
import sys

from songbloom.serve.run import serve
from songbloom.serve.settings import ServeSettings
from songbloom.studio.mount import mount_studio

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    serve(ServeSettings.read({}), worker_command=[sys.executable, "-m", "tests.serve.fake_worker"], page=mount_studio)
