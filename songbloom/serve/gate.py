"""What every request passes before a route sees it, or its body is read: an id, a key, and limits."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import Any

import sqlalchemy as sa
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from songbloom.serve.auth import ANYONE, Caller, find_caller
from songbloom.serve.errors import ServeError, TooLarge, TooMany, TooSlow, Unauthorized
from songbloom.serve.limits import OpenLimit, RateLimit
from songbloom.serve.origins import Origins
from songbloom.serve.problems import problem_response
from songbloom.serve.settings import ServeSettings

log = logging.getLogger(__name__)

OPEN_PATHS = {"/", "/health", "/ready", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"}
#: Where the web page and what it is made of lie; nothing of a user is there.
PAGE_PATH = "/studio"
#: A key as a cookie counts for reading alone, so that no other site can act with it.
KEY_COOKIE = "songbloom_key"
#: Fields and boundaries beside the uploaded file.
_FORM_BYTES = 500_000
_DRAIN_S = 10.0
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_MOST_OPEN = 250  # requests of one key at once; streams and events stay open long
_GIVEN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        settings: ServeSettings,
        engine: sa.Engine,
        requests: Counter,
        seconds: Histogram,
    ) -> None:
        self.app, self.settings, self.engine = app, settings, engine
        self._requests, self._seconds = requests, seconds
        self._rate, self._open = RateLimit(settings.rate_per_minute), OpenLimit(_MOST_OPEN)
        self._origins = Origins(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, began, status, refused = Request(scope), time.monotonic(), 0, False
        given = request.headers.get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        body = _Body(receive, self.settings.max_upload_bytes + _FORM_BYTES, self.settings.upload_timeout_s)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                if body.problem is not None and not refused:
                    raise body.problem  # instead of the framework's answer to a body it could not read
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            caller = scope["state"]["caller"] = await self._admit(request)
            body.check_length(request.headers.get("content-length"))
            with self._open.one_more(caller.name if self.settings.auth_on else ""):
                await self.app(scope, body.receive, send_with_headers)
        except Exception as error:
            problem = body.problem or error
            if not isinstance(problem, ServeError):
                log.exception("request %s failed", request_id)
                problem = ServeError(f"Something is wrong in the server; its log tells more under {request_id}.")
            if status == 0:
                refused = True
                await body.drain()
                await problem_response(problem, request_id)(scope, receive, send_with_headers)
        finally:
            taken_s = time.monotonic() - began
            route = getattr(scope.get("route"), "path", "other")
            method = request.method if request.method in _METHODS else "other"  # a client may send any word
            self._requests.labels(method if status else "-", route, str(status)).inc()
            self._seconds.labels(route).observe(taken_s)
            log.info("%s %s %s %d %.0f ms", request_id, request.method, request.url.path, status, taken_s * 1000)

    async def _admit(self, request: Request) -> Caller:
        if not self.settings.auth_on:
            self._origins.check(request)
            return Caller(ANYONE, admin=True)
        if _is_open(request):
            return Caller("", admin=False)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        if not key and request.method in ("GET", "HEAD"):  # audio elements and event streams cannot send a header
            key = request.cookies.get(KEY_COOKIE, "")
        caller = await asyncio.to_thread(find_caller, self.engine, key) if key else None
        if caller is None:
            raise Unauthorized("Send a key as 'Authorization: Bearer KEY' or in X-API-Key.")
        wait_s = self._rate.wait_s(caller.name)
        if wait_s:
            raise TooMany(f"More than {self.settings.rate_per_minute:g} requests a minute.", retry_after=wait_s)
        return caller


def _is_open(request: Request) -> bool:
    path = request.url.path
    page = path == PAGE_PATH or path.startswith(f"{PAGE_PATH}/")
    return path in OPEN_PATHS or request.method == "OPTIONS" or (page and request.method in ("GET", "HEAD"))


class _Body:
    """Counts a request's body and its time; more than allowed is an error in whoever reads it."""

    def __init__(self, receive: Receive, most: int, timeout_s: float) -> None:
        self._receive, self._most, self._timeout_s = receive, most, timeout_s
        self._got, self._ended = 0, False
        self._deadline: float | None = None
        self.problem: ServeError | None = None

    def check_length(self, header: str | None) -> None:
        if header is not None and header.isascii() and header.isdigit() and len(header) < 20:
            if int(header) > self._most:
                raise self._too_large()
        elif header is not None:
            raise self._too_large()

    async def receive(self) -> Message:
        if self._ended:  # what comes now is the client's leaving
            return await self._receive()
        if self._deadline is None:
            self._deadline = time.monotonic() + self._timeout_s
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._deadline - time.monotonic()))
        except asyncio.TimeoutError:
            self.problem = TooSlow(f"The request did not arrive within {self._timeout_s:g} s.")
            raise self.problem from None
        if message["type"] == "http.request":
            self._got += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
        if self._got > self._most:
            self.problem = self._too_large()
            raise self.problem
        return message

    async def drain(self) -> None:
        """Take what the client still sends, within reason: many read no answer before they have sent all."""
        until, got = time.monotonic() + _DRAIN_S, 0
        while not self._ended and got < 2 * self._most and not isinstance(self.problem, TooSlow):
            try:
                message: Any = await asyncio.wait_for(self._receive(), max(0.0, until - time.monotonic()))
            except asyncio.TimeoutError:
                return
            got += len(message.get("body", b""))
            self._ended = message["type"] != "http.request" or not message.get("more_body", False)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A request may have up to {self._most / 1e6:g} MB.", field="prompt_audio")
