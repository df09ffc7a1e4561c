"""A live server in a process of its own, and a client for it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
FAKE = (sys.executable, "-m", "tests.serve.fake_server")
REAL = (sys.executable, "-m", "songbloom.cli", "serve")
_ADDRESS = re.compile(r"serving on (http://\S+)")


class Server:
    """Started when made; settings by name. The log is in ``data_dir/log``."""

    def __init__(self, data_dir: Path, command: tuple[str, ...] = FAKE, **settings: Any) -> None:
        self.data_dir, self.command = data_dir, command
        self.settings = {"port": 0, "data_dir": data_dir, **settings}
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log = data_dir / "log"
        self.start()

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SONGBLOOM_")}
        environment |= {f"SONGBLOOM_{k.upper()}": str(v) for k, v in self.settings.items()}
        environment |= {"OMP_NUM_THREADS": "1"}
        self._read_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.url = self._address()
        self.settings["port"] = int(self.url.rpartition(":")[2])  # the same after a restart
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def _address(self) -> str:
        for _ in range(2400):
            text = self.log.read_bytes()[self._read_from :].decode(errors="replace")
            if found := _ADDRESS.search(text):
                return found[1]
            assert self.process.poll() is None, text
            time.sleep(0.05)
        raise AssertionError(f"the server does not start: {self.log.read_text()}")

    def stop(self) -> None:
        """Ask it to stop, as an operator would."""
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def kill(self) -> None:
        """kill -9."""
        self.client.close()
        self.process.kill()
        self.process.wait()

    def workers(self) -> list[int]:
        """Process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(pid) for path in children for pid in path.read_text().split()]
        return [pid for pid in pids if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def kill_worker(self) -> int:
        pid = self.workers()[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def submit(self, clip: Path, lyrics: str = "[verse] hello world", **fields: Any) -> httpx.Response:
        headers = fields.pop("headers", None)
        with clip.open("rb") as file:
            files = {"prompt_audio": ("clip.wav", file)}
            return self.client.post("/generate", files=files, data={"lyrics": lyrics, **fields}, headers=headers)

    def accepted(self, clip: Path, lyrics: str = "[verse] hello world", **fields: Any) -> str:
        """The id of a new job."""
        answer = self.submit(clip, lyrics, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def job(self, job_id: str, **options: Any) -> dict[str, Any]:
        answer = self.client.get(f"/jobs/{job_id}", **options)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ended(self, job_id: str, timeout_s: float = 60, **options: Any) -> dict[str, Any]:
        """The job when it has ended."""
        return self.until(job_id, lambda job: job["finished_at"] is not None, timeout_s, **options)

    def until(self, job_id: str, wanted: Any, timeout_s: float = 60, **options: Any) -> dict[str, Any]:
        """The job as soon as ``wanted(job)``."""
        deadline = time.monotonic() + timeout_s
        while not wanted(job := self.job(job_id, **options)):
            assert time.monotonic() < deadline, (job, self.log.read_text()[-5000:])
            time.sleep(0.05)
        return job

    def gone(self, *words: str, timeout_s: float = 20) -> None:
        """Wait until no file of the storage has any of these in its name: a worker tidies up after a job's end."""
        deadline = time.monotonic() + timeout_s
        while left := [name for name in self.files() if any(word in name for word in words)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)

    def files(self) -> list[str]:
        """Everything in the local storage."""
        storage = self.data_dir / "storage"
        return sorted(str(path.relative_to(storage)) for path in storage.rglob("*") if path.is_file())
