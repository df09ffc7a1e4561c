"""Fetches one file over HTTP: resumable, verified, written aside and then renamed.

While a file arrives there are ``NAME.part`` (its bytes so far) and ``NAME.part.json`` (what they belong
to). An interruption of any kind leaves these two and nothing under the final name.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

import songbloom
from songbloom.errors import OutputError

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_REPORT_EVERY_S = 0.2
_RETRIES = 2


class Progress(NamedTuple):
    """How far one file is. ``bytes_total`` and ``seconds_left`` are None while unknown."""

    file: str
    bytes_done: int
    bytes_total: int | None
    seconds_left: float | None


class TransferError(Exception):
    """One source did not give one file; the text is the reason. ``unreachable``: its server is not there."""

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class Interrupted(TransferError):
    """A failure that may pass: what has arrived is kept and the request is made again."""


@dataclass(frozen=True)
class _Note:
    """What a ``.part`` is a part of. ``sha256`` is what the server stated, where it did."""

    url: str
    size: int | None = None
    etag: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Transfer:
    """The wish to have ``url`` at ``target``; ``size`` (bytes) and ``sha256`` (hex), if given, must match."""

    url: str
    target: Path
    size: int | None = None
    sha256: str | None = None
    timeout: float = 30.0
    progress: Callable[[Progress], None] | None = None

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def note_path(self) -> Path:
        return self.target.with_name(self.target.name + ".part.json")

    def fetch(self) -> None:
        """Fetches the file, going on from a ``.part`` of the same content.

        Raises:
            TransferError: this source does not give the file, or not the right one.
            OutputError: the folder cannot be written or is too full.
        """
        failures = 0
        while True:
            before = _size(self.part)
            try:
                note = self._receive()
                break
            except Interrupted as error:
                # A long file may lose its connection many times; only attempts that bring nothing count.
                failures = 0 if _size(self.part) - before >= _CHUNK else failures + 1
                if failures > (1 if error.unreachable else _RETRIES):
                    raise
                _log.info("%s: %s; trying again", self.url, error)
                time.sleep(max(failures, 1))
        try:
            self._verify(self.sha256 or note.sha256)
            self.part.replace(self.target)
        except OSError as error:
            raise _disk_error(error, self.target) from error
        self.note_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Removes what has arrived so far."""
        self.part.unlink(missing_ok=True)
        self.note_path.unlink(missing_ok=True)

    def begun_here(self) -> bool:
        """Whether there is a ``.part`` that came from this url."""
        note = self._read_note()
        return note is not None and note.url == self.url and self.part.exists()

    def arrived(self) -> int:
        """Bytes that are here of this url."""
        return _size(self.part) if self.begun_here() else 0

    def _read_note(self) -> _Note | None:
        try:
            return _Note(**json.loads(self.note_path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _resumable(self) -> _Note | None:
        """The note of a ``.part`` that the bytes of this url may be appended to."""
        note = self._read_note()
        if _size(self.part) == 0:
            return None
        if note is not None and note.url == self.url:
            return note
        # Copies of one file are equal where its hash is known, so a part begun elsewhere serves as well.
        return _Note(self.url) if self.sha256 else None

    def _receive(self) -> _Note:
        """One request; returns when ``.part`` is whole."""
        old = self._resumable()
        offset = _size(self.part) if old else 0
        if old and offset == old.size:
            return old
        headers = {}
        if old:
            headers["Range"] = f"bytes={offset}-"
            if old.etag and not old.etag.startswith("W/"):
                headers["If-Range"] = old.etag
        try:
            response = open_url(self.url, self.timeout, headers)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:
                self.discard()
                raise Interrupted("the server has less of the file than was already here (416)") from error
            raise _status_error(error.code) from error
        with response:
            return self._store(response, old, offset)

    def _store(self, response: http.client.HTTPResponse, old: _Note | None, offset: int) -> _Note:
        note = self._describe(response)
        resumed = response.status == 206
        if resumed and not (old and _continues(old, note) and _range_start(response) == offset):
            self.discard()
            raise Interrupted("the file changed since the last attempt")
        if not resumed:
            offset = 0
        if note.size is not None and self.size not in (None, note.size):
            raise TransferError(f"wrong size: {note.size} bytes, expected {self.size}")
        need = (note.size or 0) - offset
        free = shutil.disk_usage(self.target.parent).free
        if need > free:
            raise OutputError(
                f"{self.target.parent}: {self.target.name} needs {need:,} bytes more, {free:,} are free; "
                "make room or choose another folder with --local-dir"
            )
        try:
            self.note_path.write_text(json.dumps(asdict(note)), encoding="utf-8")
            with self.part.open("ab" if resumed else "wb") as out:
                self._copy(response, out, note.size, offset)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise _disk_error(error, self.part) from error
        done = _size(self.part)
        if note.size is None:
            note = replace(note, size=done)
            self.note_path.write_text(json.dumps(asdict(note)), encoding="utf-8")
        elif done > note.size:
            self.discard()
            raise Interrupted(f"more bytes arrived than announced ({done} of {note.size})")
        elif done < note.size:
            raise Interrupted(f"truncated: the connection ended at byte {done} of {note.size}")
        return note

    def _describe(self, response: http.client.HTTPResponse) -> _Note:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise TransferError("the server sends the file re-encoded")
        if response.headers.get_content_type() == "text/html":
            raise TransferError("the server answers with a web page, not the file")
        whole = response.headers.get("Content-Length", "")
        if response.status == 206:
            whole = response.headers.get("Content-Range", "").rpartition("/")[2]
        size = int(whole) if whole.isdecimal() else None
        # Hubs state the hash of large files in a header of the answer that redirects to the storage.
        linked = getattr(response, "linked_etag", None) or response.headers.get("X-Linked-Etag") or ""
        stated = re.fullmatch(r'"?([0-9a-f]{64})"?', linked)
        return _Note(self.url, size, response.headers.get("ETag"), stated.group(1) if stated else None)

    def _copy(
        self, response: http.client.HTTPResponse, out: BinaryIO, total: int | None, offset: int
    ) -> None:
        done, started, reported = offset, time.monotonic(), 0.0
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise Interrupted(f"the connection broke at byte {done} ({_reason(error)})") from error
            out.write(chunk)
            done += len(chunk)
            now = time.monotonic()
            if self.progress and (not chunk or now - reported >= _REPORT_EVERY_S):
                reported = now
                speed = (done - offset) / max(now - started, 1e-6)
                left = (total - done) / speed if total is not None and speed > 0 else None
                self.progress(Progress(self.target.name, done, total, left))
            if not chunk:
                return

    def _verify(self, sha256: str | None) -> None:
        size = _size(self.part)
        if self.size not in (None, size):
            self.discard()
            raise TransferError(f"wrong size: {size} bytes, expected {self.size}")
        if size == 0:
            self.discard()
            raise TransferError("the file is empty")
        if size < 1024 and self.part.read_bytes().startswith(b"version https://git-lfs"):
            self.discard()
            raise TransferError("the server has a Git LFS pointer in place of the file")
        if sha256 and (found := hash_file(self.part)) != sha256:
            self.discard()
            raise TransferError(f"wrong sha256: {found}, expected {sha256}")


def hash_file(path: Path) -> str:
    """sha256 of the file at ``path``, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http(s) alone, never from https to http; keeps the file hash stated on the way."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            raise TransferError(f"redirects to an address that is not safe to follow ({new}:)")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None:
            request.linked_etag = headers.get("X-Linked-Etag") or getattr(req, "linked_etag", None)
        return request

    def http_response(self, request, response):  # type: ignore[no-untyped-def]
        response.linked_etag = getattr(request, "linked_etag", None)
        return response

    https_response = http_response


def open_url(url: str, timeout: float, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """GET ``url``; http(s) only (no file:, ftp: or data: handlers are installed). ``timeout``: seconds.

    Raises urllib.error.HTTPError for a status other than success, TransferError for anything else.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    agent = f"songbloom/{songbloom.__version__}"
    request = urllib.request.Request(
        url, headers={"User-Agent": agent, "Accept-Encoding": "identity", **(headers or {})}
    )
    try:
        response = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(f"no connection ({_reason(error)})", unreachable=True) from error
    if response is None:
        raise TransferError(f"{urlsplit(url).scheme}: is not a way to fetch a file")
    return response


def _status_error(code: int) -> Exception:
    if code == 429 or code >= 500:
        return Interrupted(f"the server is in trouble (HTTP {code})")
    if code in (401, 403):
        return TransferError(f"the server wants an account or permission (HTTP {code})")
    return TransferError("not there (HTTP 404)" if code == 404 else f"HTTP {code}")


def _continues(old: _Note, new: _Note) -> bool:
    """Whether two answers speak of the same contents, as far as both say."""
    pairs = ((old.size, new.size), (old.etag, new.etag), (old.sha256, new.sha256))
    return all(a is None or b is None or a == b for a, b in pairs)


def _range_start(response: http.client.HTTPResponse) -> int | None:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match.group(1)) if match else None


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    return str(inner or error) or type(error).__name__


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _disk_error(error: OSError, path: Path) -> OutputError:
    return OutputError(
        f"{path}: cannot be written ({error.strerror or error}). What has arrived is kept: make room "
        "or choose another folder with --local-dir, then run the same command again"
    )
