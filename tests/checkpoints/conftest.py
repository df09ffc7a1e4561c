"""A small file hub on loopback that misbehaves on demand."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from songbloom.checkpoints.download import Endpoints


@dataclass
class Answer:
    """How the hub answers for one file."""

    body: bytes
    status: int = 200
    ranges: bool = True
    cut_after: int | None = None  # bytes of each answer after which the connection is dropped
    announce_size: bool = True
    stalls: bool = False  # keeps the connection open and silent at the end of an answer
    headers: dict[str, str] = field(default_factory=dict)
    redirect: str | None = None


class FakeHub:
    """Serves ``answers[(kind, repo, file)]`` under the addresses of both public hubs."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str, str], Answer] = {}
        self.requests: list[tuple[str, str, str | None]] = []  # repo, file, Range header
        self._closing = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub._serve(self)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Clients that hang up are part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.endpoints = Endpoints(hub=self.address, modelscope=self.address)

    def put(self, source, name: str, body: bytes, **options) -> Answer:
        answer = Answer(body, **options)
        answer.headers.setdefault("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        self.answers[(source.kind, source.repo, name)] = answer
        return answer

    def asked(self, name: str) -> list[tuple[str, str | None]]:
        """(repo, Range header) of every request for the file ``name``."""
        return [(repo, span) for repo, file, span in self.requests if file == name]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        parts = url.path.strip("/").split("/")
        if parts[:3] == ["api", "v1", "models"]:
            kind, repo, name = "modelscope", "/".join(parts[3:5]), parse_qs(url.query)["FilePath"][0]
        else:
            kind, repo, name = "hub", "/".join(parts[:2]), "/".join(parts[4:])
        span = request.headers.get("Range")
        self.requests.append((repo, name, span))
        answer = self.answers.get((kind, repo, name), Answer(b"", status=404))
        if answer.status != 200:
            request.send_error(answer.status)
            return
        if answer.redirect:
            request.send_response(302)
            request.send_header("Location", answer.redirect)
            for key, value in answer.headers.items():
                request.send_header(key, value)
            request.end_headers()
            return
        start = int(span[6:-1]) if span and answer.ranges else 0
        if_range = request.headers.get("If-Range")
        if if_range and if_range != answer.headers.get("ETag"):
            start = 0
        if start > len(answer.body):
            request.send_error(416)
            return
        body = answer.body[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(answer.body) - 1}/{len(answer.body)}")
        if answer.announce_size:
            request.send_header("Content-Length", str(len(body)))
        for key, value in answer.headers.items():
            request.send_header(key, value)
        request.end_headers()
        request.wfile.write(body[: answer.cut_after])
        if answer.stalls:
            self._closing.wait(10.0)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = FakeHub()
    yield server
    server.close()
