"""A client's file: kept private, decoded in a process of its own, removed in every case."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from songbloom.serve.database import private_folder
from songbloom.serve.errors import Invalid, TooLarge, Unavailable
from songbloom.serve.settings import ServeSettings
from songbloom.serve.storage import stored

log = logging.getLogger(__name__)

T = TypeVar("T")
_PROBES = 2
_THREADS = 8  # to copy while others are decoded
_TIMEOUT_S = 20.0
_STRAY_AFTER_S = 3600.0


class Uploads:
    """Takes files in. Its methods block; call them from threads."""

    def __init__(self, settings: ServeSettings, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.settings, self.folder = settings, settings.data_dir / "uploads"
        self._timeout_s, self._closed = timeout_s, False
        self._probes: queue.SimpleQueue[_Probe] = queue.SimpleQueue()
        for _ in range(_PROBES):
            self._probes.put(_Probe())
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="upload")

    async def apart(self, action: Callable[[], T]) -> T:
        """Do something that takes an upload in, in threads of its own: files that are slow to decode make wait
        whoever else uploads, and nobody else."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, action)

    @contextmanager
    def checked(self, source: BinaryIO, start_s: float) -> Iterator[Path]:
        """A private copy of an uploaded style clip, for the time of the block.

        Raises:
            Invalid: it is not a style clip; TooLarge: too many bytes; Unavailable: the disk is full.
        """
        with stored():
            folder = private_folder(private_folder(self.folder) / secrets.token_hex(8))
        try:
            path = folder / "prompt_audio"  # the client's own name for it is never used
            with stored():
                self._copy(source, path)
            self._check(path, start_s)
            yield path
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what a killed server left."""
        for folder in self.folder.glob("*"):
            if time.time() - folder.stat().st_mtime > _STRAY_AFTER_S:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """End the probes; who waits for one is sent away."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        while not self._probes.empty():
            self._probes.get().close()

    def _copy(self, source: BinaryIO, path: Path) -> None:
        most, got = self.settings.max_upload_bytes, 0
        with path.open("xb") as file:
            while piece := source.read(1 << 20):
                got += len(piece)
                if got > most:
                    raise TooLarge(f"The file may have up to {most / 1e6:g} MB.", field="prompt_audio")
                file.write(piece)

    def _check(self, path: Path, start_s: float) -> None:
        probe = self._free_probe()
        try:
            request = {"path": str(path.absolute()), "start_s": start_s, "longest_s": self.settings.max_upload_s}
            answer = probe.ask(request, self._timeout_s)
        finally:
            self._probes.put(probe)
        if "message" in answer:
            field = "prompt_audio" if answer["field"] == "prompt_wav" else answer["field"]
            raise Invalid(f"{field}: {answer['message']}", field=field)

    def _free_probe(self) -> _Probe:
        while True:
            try:
                return self._probes.get(timeout=0.5)
            except queue.Empty:
                if self._closed:
                    raise Unavailable("The service stops.", retry_after=10) from None


class _Probe:
    """The other end of probe.py; started when needed, started anew when a file has killed it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        process = self._running()
        timer = threading.Timer(timeout_s, process.kill)
        timer.start()
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        finally:
            timer.cancel()
        if line.endswith("\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        log.warning("an upload killed its decoder or took longer than %g s", timeout_s)
        self.close()
        return {"field": "prompt_wav", "message": "cannot be decoded"}

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            # The environment may hold the database's password; a decoder has no use for it.
            kept = {k: v for k, v in os.environ.items() if not k.startswith("SONGBLOOM_")}
            command = [sys.executable, "-m", "songbloom.serve.probe"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=kept, start_new_session=True
            )
        return self._process
