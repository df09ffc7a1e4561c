"""What the routes share: made once with the application, kept in ``app.state``."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated, cast

import sqlalchemy as sa
from fastapi import Depends, Path, Request

from songbloom.serve.auth import Caller
from songbloom.serve.downloads import Downloads
from songbloom.serve.errors import Forbidden
from songbloom.serve.heartbeat import Watch
from songbloom.serve.jobs import JobService
from songbloom.serve.library import Library
from songbloom.serve.limits import Turns
from songbloom.serve.metrics import Metrics
from songbloom.serve.settings import ServeSettings
from songbloom.serve.storage import Storage
from songbloom.serve.uploads import Uploads

_MOST_READING = 20


@dataclass
class ServeContext:
    settings: ServeSettings
    engine: sa.Engine
    storage: Storage
    jobs: JobService
    library: Library
    uploads: Uploads
    watch: Watch
    metrics: Metrics
    downloads: Downloads
    reading: Turns = field(default_factory=lambda: Turns(_MOST_READING))  # of lyrics, which takes the processor
    began: float = field(default_factory=time.monotonic)
    stopping: bool = False  # long answers end when the server does


async def _context(request: Request) -> ServeContext:
    return cast(ServeContext, request.app.state.context)


async def _caller(request: Request) -> Caller:
    return cast(Caller, request.scope["state"]["caller"])


async def _admin(request: Request) -> Caller:
    caller = await _caller(request)
    if not caller.admin:
        raise Forbidden("This needs a key made with --admin.")
    return caller


Context = Annotated[ServeContext, Depends(_context)]
Who = Annotated[Caller, Depends(_caller)]
Admin = Annotated[Caller, Depends(_admin)]
# NUL alone is refused, which Postgres does not take; other ids are not found.
JobId = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[^\x00]*$", description="of POST /generate")]
SampleId = Annotated[int, Path(ge=0, le=4, description="which of the job's songs, from 0")]
