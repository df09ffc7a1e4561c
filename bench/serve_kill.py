"""``python -m bench.serve_kill [ROUNDS]``: kill -9 of the server or a worker at random moments; what is lost?

The workers only pretend to compose. Prints one JSON line: jobs accepted, lost, made with another result than
undisturbed, and files left over; exit code 1 if any of the last three is not 0.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import soundfile

from songbloom.serve.storage import OWNER_KEY
from tests.serve.server import Server

JOBS_A_ROUND = 3


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.wav"
        soundfile.write(clip, 0.3 * np.sin(np.arange(16000 * 2) / 20), 16000)
        server = Server(Path(folder) / "data", workers=2, fake_block_s=0.03, max_attempts=100, max_queue=10_000)
        accepted: dict[str, int] = {}  # job -> seed
        try:
            for _ in range(rounds):
                _submit(server, clip, chance, accepted)
                time.sleep(chance.uniform(0, 3))
                if chance.random() < 0.5 or not server.workers():
                    server.kill()
                    server.start()
                else:
                    server.kill_worker()
            results: dict[int, set[str]] = {}
            lost = 0
            for job_id, seed in accepted.items():
                job = server.ended(job_id, timeout_s=600)
                if job["status"] != "completed":
                    lost += 1
                    continue
                audio = soundfile.read(_download(server, job_id, Path(folder)))[0]
                results.setdefault(seed, set()).add(hashlib.sha256(audio.tobytes()).hexdigest())
            time.sleep(2)
            stray = [name for name in server.files() if "blocks" in name or ".part" in name or "checks" in name]
            own = [name for name in server.files() if name != OWNER_KEY]
            stray += [name for name in own if name.split("/")[1] not in accepted]
        finally:
            server.stop()
    different = sum(len(found) - 1 for found in results.values())
    answer = {"rounds": rounds, "accepted": len(accepted), "lost": lost, "different": different, "stray": len(stray)}
    sys.stdout.write(json.dumps(answer) + "\n")
    return int(bool(lost or different or stray))


def _submit(server: Server, clip: Path, chance: random.Random, accepted: dict[str, int]) -> None:
    for _ in range(JOBS_A_ROUND):
        seed = chance.randrange(5)
        try:
            job_id = server.accepted(clip, seed=str(seed), max_duration="16", format="wav")
        except httpx.HTTPError:  # not accepted
            continue
        accepted[job_id] = seed


def _download(server: Server, job_id: str, folder: Path) -> Path:
    path = folder / "song.wav"
    path.write_bytes(server.client.get(f"/download/{job_id}/0").content)
    return path


if __name__ == "__main__":
    sys.exit(main())
