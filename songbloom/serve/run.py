"""``songbloom serve``: the API in this process, workers beside it."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from songbloom.errors import InvalidInput, OutputError
from songbloom.serve.api import create_app
from songbloom.serve.auth import has_keys
from songbloom.serve.context import ServeContext
from songbloom.serve.settings import LOOPBACK, ServeSettings
from songbloom.serve.supervisor import WORKER_COMMAND, Supervisor

log = logging.getLogger(__name__)

_GRACE_S = 5  # for answers under way when the server stops


def serve(
    settings: ServeSettings,
    *,
    reload: bool = False,
    worker_command: Sequence[str] = WORKER_COMMAND,
    page: Callable[[FastAPI], None] | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; then workers finish their block and put their jobs back.

    Args:
        page: mounts a web page into the application.

    Raises:
        OutputError: the address is taken.
    """
    if settings.host not in LOOPBACK and not settings.auth_on:
        log.warning("anyone who reaches %s may use the service: keys are off", settings.host)
    supervisor, asked_to_end = Supervisor(settings, worker_command), threading.Event()
    # uvicorn raises the signal again when it has stopped; the workers still have to be stopped then.
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    if reload:
        _serve_reloading(settings, supervisor)
        return
    app = create_app(settings, page=page)
    context: ServeContext = app.state.context
    if settings.auth_on and not has_keys(context.engine):
        where = _same_place(settings)
        log.warning("nobody can come in yet; make a key with: songbloom serve --create-key NAME%s", where)
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    server = _Server(uvicorn.Config(app, **_options()), context)
    signal.signal(signal.SIGTERM, server.handle_exit)
    supervisor.start()
    log.info("serving on http://%s:%d (documentation at /docs)", f"[{host}]" if ":" in host else host, port)
    try:
        if not asked_to_end.is_set():
            server.run(sockets=[listener])
    finally:
        context.stopping = True
        supervisor.stop()


class _Server(uvicorn.Server):
    """Tells long answers (streams, events, waits) that the server stops, so that they end before it has to cut them."""

    def __init__(self, config: uvicorn.Config, context: ServeContext) -> None:
        super().__init__(config)
        self._context = context

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._context.stopping = True
        super().handle_exit(sig, frame)


def _same_place(settings: ServeSettings) -> str:
    """The options that lead ``--create-key`` to this service's database."""
    if settings.database_url:
        return " and the same database"  # its URL may hold a password
    return "" if settings.data_dir == ServeSettings.data_dir else f" --data-dir {settings.data_dir}"


def _serve_reloading(settings: ServeSettings, supervisor: Supervisor) -> None:
    """For development: the API starts anew when its source changes; the workers go on."""
    import os

    os.environ.update(settings.environment())
    supervisor.start()
    try:
        uvicorn.run(
            "songbloom.serve.run:app_of_environment",
            factory=True,
            reload=True,
            reload_dirs=["songbloom"],
            host=settings.host,
            port=settings.port,
            **_options(),
        )
    finally:
        supervisor.stop()


def app_of_environment() -> Any:
    """The application with the settings of the environment."""
    return create_app(ServeSettings.read({}))


def _options() -> dict[str, Any]:
    return {
        "log_config": None,
        "access_log": False,  # the gate writes one, with the request's id
        "server_header": False,
        "timeout_keep_alive": 15,
        "timeout_graceful_shutdown": _GRACE_S,
        "h11_max_incomplete_event_size": 32_768,
        "limit_concurrency": 1000,
    }


def _listen(settings: ServeSettings) -> socket.socket:
    """A listening socket, so that a taken address is told before workers are started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise InvalidInput("host", settings.host, "is no address of this machine") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise OutputError(
            f"cannot listen on {settings.host}:{settings.port} ({reason}); choose another --port"
        ) from error
    return listener
