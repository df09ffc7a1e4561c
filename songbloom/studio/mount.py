"""Puts the page, its scripts and the examples into the service's application."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from songbloom import __version__
from songbloom.serve.errors import NotFound
from songbloom.serve.gate import PAGE_PATH
from songbloom.serve.jobs import JobService
from songbloom.studio.examples import FOLDER, Examples

STATIC = Path(__file__).parent / "static"
#: What of Gradio's own server the page needs; all else, uploads and queues above all, is closed.
_OF_GRADIO = re.compile(r"/(assets/.*|static/.*|theme\.css|config|favicon\.ico)?")


def mount_studio(app: FastAPI, *, load: bool = False, examples: Path = FOLDER) -> None:
    """Mount the page at ``/studio``; browsers that ask for ``/`` are sent there.

    Args:
        load: have the workers load their model now, not with the first song.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    import gradio as gr

    from songbloom.studio.page import build_page, translations
    from songbloom.studio.theme import studio_theme

    _add_examples(app, Examples.of(examples))
    app.mount(f"{PAGE_PATH}/own", StaticFiles(directory=STATIC), name="studio_static")
    gr.mount_gradio_app(
        app,
        build_page(),
        path=PAGE_PATH,
        theme=studio_theme(),
        i18n=translations(),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
    )
    mounted: Any = app.router.routes[-1]
    mounted.app = _Page(mounted.app, _head())
    _send_browsers_to_the_page(app)
    jobs: JobService = app.state.context.jobs
    if load:
        jobs.choose_model(jobs.model())
    else:
        jobs.unload_model()


def _head() -> str:
    from songbloom.studio.page import strings

    table = json.dumps({"version": __version__, "strings": strings()}, ensure_ascii=False).replace("<", "\\u003c")
    early = (STATIC / "early.js").read_text(encoding="utf-8")
    version = f"?v={__version__}"
    return (
        f"<script>window.SONGBLOOM = {table};</script>\n<script>{early}</script>\n"
        '<link rel="icon" type="image/svg+xml" href="own/icon.svg">\n'
        f'<link rel="stylesheet" href="own/studio.css{version}">\n'
        f'<script type="module" src="own/main.js{version}"></script>'
    )


def _add_examples(app: FastAPI, examples: Examples) -> None:
    @app.get(f"{PAGE_PATH}/examples", include_in_schema=False)
    async def list_examples() -> Response:
        return JSONResponse({"clips": list(examples.clips), "lyrics": examples.lyrics})

    @app.get(f"{PAGE_PATH}/examples/{{name}}", include_in_schema=False)
    async def example_clip(name: str) -> Response:
        if name not in examples.clips:
            raise NotFound("There is no such clip.")
        return FileResponse(examples.clips[name], media_type="audio/flac")


def _send_browsers_to_the_page(app: FastAPI) -> None:
    """``/`` is the page for a browser, and stays the description of the service for everyone else."""

    async def front(_: Request) -> Response:
        return RedirectResponse(f"{PAGE_PATH}/")

    app.router.routes.insert(0, _FrontDoor("/", front, include_in_schema=False))


class _FrontDoor(Route):
    """A route for those alone who read HTML."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and "text/html" in Request(scope).headers.get("accept", ""):
            return super().matches(scope)
        return Match.NONE, {}


class _Page:
    """Lets through what a browser reads of Gradio's server, and puts our head before Gradio's own.

    Gradio would insert it only when its scripts have begun; by then they have taken language and colours elsewhere.
    """

    def __init__(self, app: ASGIApp, head: str) -> None:
        self._app, self._head = app, head.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["method"] not in ("GET", "HEAD") or not _OF_GRADIO.fullmatch(path):
            raise NotFound("There is no such page.")
        await self._app(scope, receive, self._with_head(send) if path in ("", "/") else send)

    def _with_head(self, send: Send) -> Send:
        begun: Message = {}
        parts: list[bytes] = []

        async def send_page(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = message
                return
            parts.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            page = b"".join(parts).replace(b"<head>", b"<head>\n" + self._head, 1)
            kept = [entry for entry in begun["headers"] if entry[0] != b"content-length"]
            await send({**begun, "headers": [*kept, (b"content-length", str(len(page)).encode())]})
            await send({"type": "http.response.body", "body": page})

        return send_page
