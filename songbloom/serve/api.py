"""The application: everything the routes need, around them the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi

from songbloom import __version__
from songbloom.serve.context import ServeContext
from songbloom.serve.database import connect, migrate, private_folder
from songbloom.serve.downloads import Downloads
from songbloom.serve.errors import Forbidden, TooMany, Unauthorized
from songbloom.serve.gate import OPEN_PATHS, Gate
from songbloom.serve.heartbeat import Watch
from songbloom.serve.jobs import JobService
from songbloom.serve.library import Library
from songbloom.serve.metrics import Metrics
from songbloom.serve.problems import add_handlers, responses
from songbloom.serve.retention import Housekeeping
from songbloom.serve.routes import audio, events, generate, info, jobs, library, lyrics, models
from songbloom.serve.schemas import Problem
from songbloom.serve.settings import ServeSettings
from songbloom.serve.storage import Storage
from songbloom.serve.uploads import Uploads

_ABOUT = "Whole songs from lyrics and ten seconds of style. Errors are problem+json (RFC 9457)."


def create_app(
    settings: ServeSettings, *, housekeeping: bool = True, page: Callable[[FastAPI], None] | None = None
) -> FastAPI:
    """The application; makes the data folder and the database's tables.

    Args:
        page: mounts a web page into it, within the gate.

    Raises:
        InvalidInput: in the settings.
    """
    private_folder(settings.data_dir)
    engine = connect(settings)
    migrate(settings, engine)
    storage, uploads = Storage.of(settings), Uploads(settings)
    service, watch = JobService(settings, engine, storage), Watch(engine, settings.worker_silence_s)
    metrics = Metrics(service.counts, lambda: len(watch.alive()))
    context = ServeContext(
        settings, engine, storage, service, Library(engine), uploads, watch, metrics, Downloads(settings.local_dir)
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeper = Housekeeping(service, watch, uploads)
        if housekeeping:
            keeper.start()
        yield
        context.stopping = True
        if housekeeping:
            keeper.stop()
        uploads.close()
        engine.dispose()

    app = FastAPI(
        title="SongBloom Next-Gen X2",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    for module in (info, models, lyrics, generate, events, jobs, audio, library):
        app.include_router(module.router)
    add_handlers(app)
    if page is not None:
        page(app)
    app.add_middleware(Gate, settings=settings, engine=engine, requests=metrics.requests, seconds=metrics.seconds)
    if settings.origins:  # around the gate, so that pages can read its refusals too
        methods, own = ["GET", "POST", "PATCH", "DELETE"], ["X-Request-ID", "X-Job-ID", "Retry-After", "Location"]
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=methods,
            allow_headers=["Authorization", "X-API-Key", "Idempotency-Key", "Range"],
            expose_headers=own,
        )
    app.openapi = lambda: _openapi(app, settings)  # type: ignore[method-assign]
    return app


def _parameters(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in schema["paths"].values():
        for operation in operations.values():
            yield from operation.get("parameters", ())


def _tidy(described: dict[str, Any]) -> None:
    """Forms, queries and headers know no null: what may be None may be left out. Bounds of integers are integers."""
    for entry in described.values():
        if isinstance(entry, dict) and "anyOf" in entry:
            kept = [kind for kind in entry["anyOf"] if kind != {"type": "null"}]
            if len(kept) == 1:
                del entry["anyOf"]
                entry.update(kept[0])
        if isinstance(entry, dict) and entry.get("type") == "integer":
            entry.update({name: int(value) for name, value in entry.items() if isinstance(value, float)})


def _openapi(app: FastAPI, settings: ServeSettings) -> dict[str, Any]:
    """FastAPI's description with what it cannot know: problems, and keys where they are needed."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts = schema.setdefault("components", {})
    template = "#/components/schemas/{model}"
    described = Problem.model_json_schema(ref_template=template)
    parts.setdefault("schemas", {}).update({**described.pop("$defs", {}), "Problem": described})
    for described in (parts["schemas"]["GenerateForm"]["properties"], *_parameters(schema)):
        _tidy(described)
    parts["schemas"].pop("HTTPValidationError", None)
    parts["schemas"].pop("ValidationError", None)
    if settings.auth_on:
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in schema["paths"].items():
        if settings.auth_on and path in OPEN_PATHS:
            continue
        # Where keys are off, pages of other origins are turned away.
        extra = responses(Unauthorized, TooMany) if settings.auth_on else responses(Forbidden)
        for operation in operations.values():
            if settings.auth_on:
                operation["security"] = [{"key": []}]
            for code, answer in extra.items():
                operation["responses"].setdefault(str(code), answer)
    app.openapi_schema = schema
    return schema
