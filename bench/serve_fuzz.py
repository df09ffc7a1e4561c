"""``python -m bench.serve_fuzz [EXAMPLES]``: schemathesis over the whole OpenAPI, all checks, thousands of cases.

The workers only pretend to compose. Prints one JSON line; exit code 1 if anything answered otherwise than described.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.serve.fuzz import SETTINGS, fuzz
from tests.serve.server import Server


def main() -> int:
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data", **SETTINGS)
        try:
            report = fuzz(server, examples)
            errors = server.log.read_text().count(" 500 ")
        finally:
            server.stop()
    if report.failed:
        sys.stderr.write(report.text)
    sys.stdout.write(json.dumps({"cases": report.cases, "failed": report.failed, "answers_500": errors}) + "\n")
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())
