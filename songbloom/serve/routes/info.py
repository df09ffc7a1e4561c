"""``/``, ``/health``, ``/ready``, ``/metrics``: about the service itself."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Response

from songbloom import __version__
from songbloom.serve import errors
from songbloom.serve.context import Admin, Context
from songbloom.serve.errors import Unavailable
from songbloom.serve.metrics import CONTENT_TYPE
from songbloom.serve.problems import responses
from songbloom.serve.schemas import Health, Info, Ready
from songbloom.serve.storage import stored

router = APIRouter(tags=["service"])


@router.get("/", responses=responses(Unavailable))
def info(context: Context) -> Info:
    """What this is."""
    return Info(
        name="SongBloom Next-Gen X2",
        version=__version__,
        docs="/docs",
        model=context.jobs.model(),
        endpoints={
            "generate": "POST /generate",
            "generate_sync": "POST /generate/sync",
            "jobs": "GET /jobs",
            "job": "GET /jobs/{job_id}",
            "events": "GET /jobs/{job_id}/events",
            "stream": "GET /jobs/{job_id}/stream",
            "download": "GET /download/{job_id}/{sample_id}",
            "models": "GET /models",
        },
    )


@router.get("/health")
async def health(context: Context) -> Health:
    """Whether this process answers; it says nothing of database, storage or workers, which /ready does."""
    return Health(version=__version__, uptime_s=round(time.monotonic() - context.began, 3))


@router.get("/ready", responses=responses(Unavailable))
def ready(context: Context) -> Ready:
    """Whether songs can be made: the database answers, the storage takes files, a worker has its model loaded, or
    rests, as it was asked to, until a song needs one."""
    heard = context.watch.heard()
    with stored():
        context.storage.check()
    resting = context.jobs.model_wishes()["resting"]
    ready = [worker for worker, model in heard.items() if resting or model is not None]
    if not ready:
        raise Unavailable("No worker has a model loaded yet.", retry_after=5)
    return Ready(workers=len(ready))


_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics", response_class=Response, responses={**_TEXT, **responses(errors.Forbidden)})
def metrics(context: Context, _: Admin) -> Response:
    """For Prometheus."""
    return Response(context.metrics.text(), headers={"Content-Type": CONTENT_TYPE})
