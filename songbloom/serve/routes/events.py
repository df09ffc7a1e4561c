"""``/events``: one stream that follows all of the caller's unfinished jobs, for pages that show several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

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
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(context, who, first), media_type="text/event-stream", headers=headers)


async def _events(context: ServeContext, who: Caller, views: list[JobView]) -> AsyncIterator[str]:
    """An event for every job that has changed. Starlette cancels this when the client leaves."""
    told: dict[str, str] = {}
    quiet = 0
    while not context.stopping:
        news = {view.job_id: view.model_dump_json() for view in views}
        for job_id, data in news.items():
            if told.get(job_id) != data:
                quiet = 0
                yield f"event: progress\ndata: {data}\n\n"
        for view in [view for view in views if view.finished_at is not None]:
            del news[view.job_id]
        told = news
        if not told:
            yield "event: idle\ndata: {}\n\n"
            return
        quiet += 1
        if quiet % _KEEP_ALIVE_POLLS == 0:
            yield ": still here\n\n"
        await asyncio.sleep(_POLL_S)
        try:
            views = await asyncio.to_thread(_with_ended, context, who, set(told))
        except ServeError:
            continue  # the database comes back


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
