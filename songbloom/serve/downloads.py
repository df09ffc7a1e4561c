"""Models being brought to this machine while the service runs."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from songbloom.checkpoints.download import download
from songbloom.checkpoints.registry import Release
from songbloom.checkpoints.transfer import Progress
from songbloom.errors import SongBloomError
from songbloom.serve.errors import Conflict

log = logging.getLogger(__name__)


@dataclass
class DownloadState:
    """Where a download is: ``done`` of ``total`` bytes of ``file``; ``error`` once it has failed."""

    running: bool = True
    file: str | None = None
    done: int = 0
    total: int | None = None
    error: str | None = None


class Downloads:
    """One at a time. What has arrived is kept: the next one goes on from there."""

    def __init__(self, local_dir: str) -> None:
        self._local_dir = local_dir
        self._states: dict[str, DownloadState] = {}
        self._lock = threading.Lock()

    def state(self, name: str) -> DownloadState | None:
        """Of the last download of a model; None if there was none since the service began."""
        return self._states.get(name)

    def start(self, release: Release) -> DownloadState:
        """Begin to bring a release. Raises Conflict while another one is under way."""
        with self._lock:
            busy = [name for name, state in self._states.items() if state.running]
            if busy:
                raise Conflict(f"{busy[0]} is being downloaded; wait for it.", retry_after=30)
            state = self._states[release.name] = DownloadState()
        threading.Thread(target=self._bring, args=(release, state), name="download", daemon=True).start()
        return state

    def _bring(self, release: Release, state: DownloadState) -> None:
        def tell(progress: Progress) -> None:
            state.file, state.done, state.total = progress.file, progress.bytes_done, progress.bytes_total

        try:
            download(release, self._local_dir, progress=tell)
        except (SongBloomError, OSError) as error:
            log.warning("%s could not be downloaded: %s", release.name, error)
            state.error = str(error)
        except Exception:  # it must be told to who waits
            log.exception("downloading %s failed", release.name)
            state.error = "unexpected; the log tells more"
        finally:
            state.running = False
