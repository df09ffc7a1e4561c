"""Where audio lives: a local folder or anything fsspec reaches. Keys are made here, never by a client."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import IO, Any, Concatenate, ParamSpec, TypeVar

import fsspec.core

from songbloom.serve.database import private_folder
from songbloom.serve.errors import NotFound, Unavailable
from songbloom.serve.settings import ServeSettings

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Stores in which an object appears whole or not at all, so that nothing need be written aside.
_ATOMIC = {"s3", "s3a", "gs", "gcs", "az", "abfs", "memory"}
OWNER_KEY = "database"  # mark of the database whose jobs these are
_JOB_ID = re.compile(r"[0-9a-f]{32}")


def new_job_id() -> str:
    """32 hexadecimal digits that sort by time."""
    return f"{int(time.time() * 1000):012x}{secrets.token_hex(10)}"


def age_of(job_id: str) -> float:
    """Seconds since the id was made."""
    return time.time() - int(job_id[:12], 16) / 1000


def prompt_key(job_id: str) -> str:
    return f"jobs/{job_id}/prompt_audio"


def block_key(job_id: str, sample: int, block: int) -> str:
    return f"jobs/{job_id}/blocks/{sample}/{block:05d}.npz"


def blocks_key(job_id: str) -> str:
    return f"jobs/{job_id}/blocks"


def audio_folder(job_id: str) -> str:
    return f"jobs/{job_id}/audio"


def audio_key(job_id: str, sample: int, format: str) -> str:
    return f"{audio_folder(job_id)}/{sample}.{format}"


def metadata_key(job_id: str, sample: int) -> str:
    """Written last: where it is, the sample is whole."""
    return f"{audio_folder(job_id)}/{sample}.json"


def _reaching(action: Callable[Concatenate[Storage, P], T]) -> Callable[Concatenate[Storage, P], T]:
    """Stores have errors of their own kinds (botocore's, for one); who waits for a store need not know them."""

    @wraps(action)
    def reach(self: Storage, *arguments: P.args, **options: P.kwargs) -> T:
        try:
            return action(self, *arguments, **options)
        except OSError:
            raise
        except Exception as error:
            if self._local:
                raise
            raise OSError(f"{type(error).__name__}: {error}") from error

    return reach


class Storage:
    """Files by key. Every failure to reach them is an OSError."""

    def __init__(self, url: str) -> None:
        self.fs, root = fsspec.core.url_to_fs(url)
        self.root = root.rstrip("/")
        protocols = {self.fs.protocol} if isinstance(self.fs.protocol, str) else set(self.fs.protocol)
        self._atomic, self._local = bool(protocols & _ATOMIC), "file" in protocols
        if self._local:
            private_folder(Path(self.root))

    @classmethod
    def of(cls, settings: ServeSettings) -> Storage:
        return cls(settings.storage_url or str(settings.data_dir.absolute() / "storage"))

    def _path(self, key: str) -> str:
        return f"{self.root}/{key}"

    @_reaching
    def write(self, key: str, data: bytes) -> None:
        """Write whole or not at all."""
        path = self._path(key)
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        if self._atomic:
            self.fs.pipe_file(path, data)
            return
        folder, _, name = path.rpartition("/")
        aside = f"{folder}/.{name}.{secrets.token_hex(4)}.part"
        try:
            with self.fs.open(aside, "wb") as file:
                file.write(data)
                if self._local:
                    file.flush()
                    os.fsync(file.fileno())
            if self._local:
                Path(aside).replace(path)
            else:
                self.fs.mv(aside, path)
        except BaseException:
            self._remove_quietly(aside)
            raise

    def write_file(self, key: str, source: Path) -> int:
        """Write the content of a local file; returns its bytes. Songs and clips are small enough to be read whole."""
        data = source.read_bytes()
        self.write(key, data)
        return len(data)

    @_reaching
    def read(self, key: str) -> bytes:
        """Raises FileNotFoundError if it is not there."""
        data: bytes = self.fs.cat_file(self._path(key))
        return data

    @_reaching
    def open(self, key: str) -> IO[bytes]:
        file: IO[bytes] = self.fs.open(self._path(key), "rb")
        return file

    @_reaching
    def size(self, key: str) -> int:
        """Raises FileNotFoundError if it is not there."""
        return int(self.fs.info(self._path(key))["size"])

    @_reaching
    def total(self, *keys: str) -> int:
        """Bytes of files and of all in folders; nothing there is nothing."""
        return sum(int(self.fs.du(self._path(key))) for key in keys)

    @_reaching
    def exists(self, key: str) -> bool:
        """Unlike fsspec's own, an unreachable store is an error, not absence."""
        try:
            self.fs.info(self._path(key))
        except FileNotFoundError:
            return False
        return True

    @_reaching
    def remove(self, key: str) -> None:
        """Remove a file or a folder with all in it; nothing there is no error."""
        path = self._path(key)
        try:
            self.fs.rm(path, recursive=True)
        except FileNotFoundError:
            return

    def remove_job(self, job_id: str) -> None:
        self.remove(f"jobs/{job_id}")

    def job_ids(self) -> Iterator[str]:
        """The jobs that have files."""
        for entry in self._entries("jobs"):
            name = str(entry).rstrip("/").rpartition("/")[2]
            if _JOB_ID.fullmatch(name):
                yield name

    @_reaching
    def _entries(self, key: str) -> list[Any]:
        try:
            entries: list[Any] = self.fs.ls(self._path(key), detail=False)
        except FileNotFoundError:
            return []
        return entries

    def song_s(self, job_id: str, sample: int) -> float:
        """Seconds of a song. Raises FileNotFoundError while it is not whole."""
        return float(json.loads(self.read(metadata_key(job_id, sample)))["seconds"])

    def songs_s(self, job_id: str, most: int) -> list[float]:
        """Seconds of the first whole songs of a job."""
        found: list[float] = []
        with suppress(FileNotFoundError):
            for sample in range(most):
                found.append(self.song_s(job_id, sample))
        return found

    def check(self) -> None:
        """See that files can be written and read.

        Raises:
            OSError: they cannot.
        """
        key = f"checks/{secrets.token_hex(8)}"
        self.write(key, b"songbloom")
        try:
            if self.read(key) != b"songbloom":
                raise OSError("what was written does not come back")
        finally:
            self.remove(key)

    def _remove_quietly(self, path: str) -> None:
        try:
            self.fs.rm(path)
        except Exception:  # the failure that led here is told
            log.debug("nothing to remove at %s", path)


@contextmanager
def stored(missing: str | None = None) -> Iterator[None]:
    """Turns an OSError of the storage within into :class:`Unavailable`.

    Args:
        missing: what to say in a :class:`NotFound` where something is not there; by default that is an error as any.
    """
    try:
        yield
    except OSError as error:
        if missing is not None and isinstance(error, FileNotFoundError):
            raise NotFound(missing) from error
        log.warning("the storage does not answer: %s", error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable("The storage of audio is full; its operator must make room.", retry_after=60) from error
        raise Unavailable("The storage of audio does not answer now; try again.", retry_after=10) from error
