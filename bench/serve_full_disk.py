"""``python -m bench.serve_full_disk FOLDER``: what happens when the disk is full, and when it no longer is?

FOLDER lies on a small file system (64 MB will do), which is filled to the last byte while songs are made. The worker
only pretends to compose. Prints one JSON line; exit code 1 if anything accepted was lost, or an answer was unclear.
"""

from __future__ import annotations

import errno
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from tests.serve.server import Server

CHUNKS = (1 << 20, 1 << 12, 1)


def main() -> int:
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
        clip, ballast = Path(folder) / "clip.wav", Path(folder) / "ballast"
        soundfile.write(clip, 0.3 * np.sin(np.arange(16000 * 2) / 20), 16000)
        server = Server(Path(folder) / "data", fake_block_s=0.05)
        try:
            jobs = [server.accepted(clip, max_duration=length, format="wav") for length in ("60", "10")]
            server.until(jobs[0], lambda job: job["progress"]["song_s"] > 3)
            _fill(ballast)
            time.sleep(3)
            refused = server.submit(clip)
            status = server.job(jobs[0])["status"]
            ready = server.client.get("/ready").status_code
            alive = server.client.get("/health").status_code
            ballast.unlink()
            ended = [server.ended(job_id) for job_id in jobs]
            again = server.ended(server.accepted(clip))
            server.gone("blocks", ".part")
        finally:
            server.stop()
    answer = {
        "refused": refused.status_code,
        "told": refused.json().get("detail"),
        "status": status,
        "ready": ready,
        "health": alive,
        "lost": sum(job["status"] != "completed" for job in ended),
        "attempts": [job["attempts"] for job in ended],
        "after": again["status"],
    }
    sys.stdout.write(json.dumps(answer) + "\n")
    clear = refused.status_code == 503 and status == "processing" and alive == 200
    return int(not clear or bool(answer["lost"]) or again["status"] != "completed")


def _fill(path: Path) -> None:
    """Write until not a byte more goes onto the disk."""
    with path.open("wb", buffering=0) as file:
        for size in CHUNKS:
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


if __name__ == "__main__":
    sys.exit(main())
