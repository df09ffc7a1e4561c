"""The model a worker has loaded, and the wish that it load another, or none."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from songbloom.errors import SongBloomError
from songbloom.serve.composer import Composer
from songbloom.serve.database import read_value

log = logging.getLogger(__name__)

T = TypeVar("T")
_TRY_AGAIN_S = 10.0


class LoadedModel:
    """One composer at a time; a job that needs another model has it loaded."""

    def __init__(self, load: Callable[[str], Composer], first: str) -> None:
        self._load, self._wanted = load, first
        self._composer: Composer | None = None
        self._lock = threading.Lock()
        self._asked: int | None = None
        self._try_at = 0.0
        self._resting = False  # no model is wanted until a song needs one
        self._stale = False  # what is loaded, or being loaded, is not what was asked for last
        self.problem: str | None = None
        self.precision: dict[str, str] = {}  # dtype and quantization, where others are wished for than the settings'

    @property
    def name(self) -> str | None:
        """Of the model that is loaded."""
        composer = self._composer
        return None if composer is None else composer.name

    def get(self, name: str) -> Composer:
        """The composer of the model ``name``.

        Raises:
            SongBloomError: it cannot be loaded.
        """
        with self._lock:
            self._resting = False
            return self._loaded(name)

    def _loaded(self, name: str) -> Composer:
        if self._stale or self._composer is None or self._composer.name != name:
            self._drop()  # two models may be more than the memory holds
            self._stale = False
            self._composer = self._load(name)
        return self._composer

    def while_none_loads(self, action: Callable[[], T]) -> T:
        """Do something that imports torch, which two threads must not do at once."""
        with self._lock:
            return action()

    def prepare(self) -> None:
        """Load the wanted model; a failure is kept in ``problem`` for all to see."""
        if self._resting and self._stale:
            with self._lock:
                self._drop()
                self._stale = False
        if self._resting or (not self._stale and self.name == self._wanted) or time.monotonic() < self._try_at:
            return
        try:
            with self._lock:
                self._loaded(self._wanted)
            self.problem = None
        except Exception as error:  # PyTorch's own are of many kinds, and who calls this must go on
            expected = isinstance(error, (SongBloomError, OSError))
            if self.problem is None:
                log.error("cannot load %s: %s", self._wanted, error, exc_info=None if expected else error)
            self.problem = str(error) if expected else f"{type(error).__name__}: {error}"
            self._try_at = time.monotonic() + _TRY_AGAIN_S

    def follow(self, connection: sa.Connection) -> None:
        """Read which model is asked for (perhaps the same again, or none); :meth:`prepare` loads it."""
        asked, wanted = read_value(connection, "load") or 0, read_value(connection, "model") or self._wanted
        again, first = self._asked is not None and asked != self._asked, self._asked is None
        self._asked = asked
        self.precision = read_value(connection, "precision") or {}
        if again or first:
            self._resting = bool(read_value(connection, "resting"))
        if again:  # its files are read again, and whatever loads now may be of the old wish
            self._stale = True
            if self._lock.acquire(blocking=False):
                self._drop()
                self._lock.release()
        if again or wanted != self._wanted:
            self._wanted, self._try_at = wanted, 0.0

    def _drop(self) -> None:
        self._composer = None
        gc.collect()  # now, not when the next song needs the room
