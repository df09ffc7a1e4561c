"""Keeps the worker processes of this machine running."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from songbloom.serve.settings import ServeSettings

log = logging.getLogger(__name__)

WORKER_COMMAND = (sys.executable, "-m", "songbloom.cli", "serve", "--worker", "--supervised")
_LOOK_EVERY_S = 0.2
_LONGEST_PAUSE_S = 30.0


class Supervisor:
    """Starts workers, starts them again when they die, and stops them in order.

    Args:
        command: starts one worker, which reads its settings from the environment and ends when its stdin does.
        grace_s: how long a worker may take to finish its block when it is stopped.
    """

    def __init__(
        self, settings: ServeSettings, command: Sequence[str] = WORKER_COMMAND, *, grace_s: float = 60.0
    ) -> None:
        self.settings, self.command, self.grace_s = settings, list(command), grace_s
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._keep, daemon=True) for _ in range(settings.workers)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask every worker to stop and wait for it."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _keep(self) -> None:
        """One worker, for ever; one that keeps dying is started ever more slowly."""
        pause_s = 0.5
        while not self._stopping.is_set():
            began = time.monotonic()
            with self._start() as process:
                while process.poll() is None and not self._stopping.wait(_LOOK_EVERY_S):
                    pass
                if self._stopping.is_set():
                    self._end(process)
                    return
            log.warning("a worker ended with code %s; another is started", process.returncode)
            pause_s = 0.5 if time.monotonic() - began > 60 else min(2 * pause_s, _LONGEST_PAUSE_S)
            self._stopping.wait(pause_s)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **self.settings.environment()}
        # In a session of its own, so that Ctrl-C reaches it through us, in order.
        return subprocess.Popen(self.command, stdin=subprocess.PIPE, env=environment, start_new_session=True)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(self.grace_s)
        except subprocess.TimeoutExpired:
            log.warning("a worker did not stop in %g s and is killed; its job goes on later", self.grace_s)
            process.kill()
