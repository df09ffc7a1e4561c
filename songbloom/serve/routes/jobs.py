"""``/jobs``: see, follow, cancel and delete jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from songbloom.serve.auth import Caller
from songbloom.serve.context import Context, JobId, ServeContext, Who
from songbloom.serve.errors import Invalid, NotFound, Unavailable
from songbloom.serve.problems import responses
from songbloom.serve.routes.events import changes, event_stream
from songbloom.serve.schemas import CancelQuery, JobPage, JobView, ListQuery

router = APIRouter(tags=["jobs"])


@router.get("/jobs", responses=responses(Invalid, Unavailable))
def list_jobs(context: Context, who: Who, query: Annotated[ListQuery, Query()]) -> JobPage:
    """Your jobs, the newest first."""
    found, following = context.jobs.list(who.name, status=query.status, limit=query.limit, before=query.before)
    return JobPage(jobs=[JobView.of(job, context.jobs.position(job)) for job in found], next=following)


@router.get("/jobs/{job_id}", responses=responses(NotFound, Invalid, Unavailable))
async def get_job(context: Context, who: Who, job_id: JobId) -> JobView:
    """Where a job is."""
    return await asyncio.to_thread(_view, context, who, job_id)  # many poll: one change of threads, not FastAPI's two


@router.post("/jobs/{job_id}/cancel", responses=responses(NotFound, Invalid, Unavailable))
def cancel_job(context: Context, who: Who, job_id: JobId, query: Annotated[CancelQuery, Query()]) -> JobView:
    """End a job: at once while it waits, within a block while it is made. One that has ended stays as it is.

    One that waits to go on, of which something is to be kept, ends when a worker has saved that."""
    job = context.jobs.cancel(who.name, job_id, keep=query.keep)
    return JobView.of(job, context.jobs.position(job))


@router.delete(
    "/jobs/{job_id}", status_code=204, response_class=Response, responses=responses(NotFound, Invalid, Unavailable)
)
def delete_job(context: Context, who: Who, job_id: JobId) -> Response:
    """Remove a job and its files, cancelling it if need be."""
    context.jobs.delete(who.name, job_id)
    return Response(status_code=204)


_EVENTS = {
    "description": "Server-sent events named `progress`, each with a job as its data; the last when the job has ended.",
    "content": {"text/event-stream": {}},
}


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: _EVENTS, **responses(NotFound, Invalid, Unavailable)},
)
async def job_events(context: Context, who: Who, job_id: JobId) -> StreamingResponse:
    """Follow a job: its place in the queue, seconds of song, time left."""
    first = await asyncio.to_thread(_view, context, who, job_id)
    return event_stream(_events(context, who, first))


async def _events(context: ServeContext, who: Caller, view: JobView) -> AsyncIterator[str]:
    try:
        async for event in changes(context, [view], lambda _: [_view(context, who, view.job_id)]):
            yield event
    except NotFound:
        yield f"event: deleted\ndata: {json.dumps({'job_id': view.job_id})}\n\n"


def _view(context: ServeContext, who: Caller, job_id: str) -> JobView:
    job = context.jobs.get(who.name, job_id)
    return JobView.of(job, context.jobs.position(job))
