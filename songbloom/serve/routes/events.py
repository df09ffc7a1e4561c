"""Server-sent events about jobs; ``/events`` follows all of the caller's, for pages that show several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from songbloom.serve.auth import Caller
from songbloom.serve.context import Context, ServeContext, Who
from songbloom.serve.errors import NotFound, ServeError, Unavailable
from songbloom.serve.problems import responses
from songbloom.serve.schemas import JobView

router = APIRouter(tags=["jobs"])

_POLL_S = 0.5
_KEEP_ALIVE_POLLS = 30
_EVENTS = {
    "description": "Server-sent events named `progress`, each with a job as its data; `idle` when none is unfinished.",
    "content": {"text/event-stream": {}},
}


@router.get("/events", response_class=StreamingResponse, responses={200: _EVENTS, **responses(Unavailable)})
async def all_events(context: Context, who: Who) -> StreamingResponse:
    """Follow all your unfinished jobs, also those that are made meanwhile, until none is left."""
    first = await asyncio.to_thread(_unfinished, context, who)
    return event_stream(_events(context, who, first))


def event_stream(events: AsyncIterator[str]) -> StreamingResponse:
    """The answer that tells ``events`` as they come."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def changes(
    context: ServeContext, views: list[JobView], look: Callable[[set[str]], list[JobView]]
) -> AsyncIterator[str]:
    """An event for every job that has changed, until all have ended or the server stops.

    Starlette cancels this when the client leaves.

    Args:
        views: the jobs as they are now.
        look: (ids of those that had not ended) -> the jobs as they are then. Its NotFound ends this; other errors
            are waited for.
    """
    told: dict[str, str] = {}
    quiet = 0
    while True:
        news = {view.job_id: view.model_dump_json() for view in views}
        for job_id, data in news.items():
            if told.get(job_id) != data:
                quiet = 0
                yield f"event: progress\ndata: {data}\n\n"
        views = [view for view in views if view.finished_at is None]
        told = {view.job_id: news[view.job_id] for view in views}
        if not told or context.stopping:
            return
        quiet += 1
        if quiet % _KEEP_ALIVE_POLLS == 0:
            yield ": still here\n\n"
        await asyncio.sleep(_POLL_S)
        try:
            views = await asyncio.to_thread(look, set(told))
        except NotFound:
            raise
        except ServeError:
            continue  # the database comes back


async def _events(context: ServeContext, who: Caller, views: list[JobView]) -> AsyncIterator[str]:
    async for event in changes(context, views, partial(_with_ended, context, who)):
        yield event
    if not context.stopping:
        yield "event: idle\ndata: {}\n\n"


def _unfinished(context: ServeContext, who: Caller) -> list[JobView]:
    return [JobView.of(job, context.jobs.position(job)) for job in context.jobs.unfinished(who.name)]


def _with_ended(context: ServeContext, who: Caller, followed: set[str]) -> list[JobView]:
    """The unfinished jobs, and those of ``followed`` that have just ended."""
    views = _unfinished(context, who)
    for job_id in followed - {view.job_id for view in views}:
        try:
            views.append(JobView.of(context.jobs.get(who.name, job_id), None))
        except NotFound:  # deleted
            continue
    return views
