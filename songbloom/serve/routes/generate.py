"""``POST /generate`` and ``/generate/sync``."""

from __future__ import annotations

import asyncio
import io
import secrets
import tempfile
import time
import zipfile
from dataclasses import fields, replace
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Form, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from songbloom.request import SongSettings
from songbloom.serve import storage as keys
from songbloom.serve.auth import Caller
from songbloom.serve.context import Context, JobId, ServeContext, Who
from songbloom.serve.errors import (
    Conflict,
    Invalid,
    NotFound,
    QueueFull,
    ServeError,
    TooLarge,
    TooSlow,
    Unavailable,
)
from songbloom.serve.problems import responses
from songbloom.serve.records import CANCELLED, COMPLETED, FAILED, Job, SongOrder
from songbloom.serve.routes.audio import file_response, stored_clip
from songbloom.serve.schemas import GenerateForm, JobView
from songbloom.serve.sound import MEDIA_TYPES
from songbloom.serve.storage import stored

router = APIRouter(tags=["generate"])

_POLL_S = 0.25
_REFUSALS = (400, Conflict, QueueFull, Invalid, TooLarge, TooSlow, Unavailable)
Multipart = Annotated[GenerateForm, Form(media_type="multipart/form-data")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="a request sent again with the same key gives the same job",
    ),
]
_AUDIO: dict[str, Any] = {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPES.values()}


def _link(operation: str, **more: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": {"job_id": "$response.body#/job_id", **more}}


_LINKS = {
    name: _link(name, **more)
    for name, more in (
        ("get_job", {}), ("job_events", {}), ("stream", {}), ("download", {"sample_id": "0"}), ("cancel_job", {}),
        ("delete_job", {}),
    )
}  # fmt: skip


@router.post("/generate", status_code=202, responses={202: {"links": _LINKS}, **responses(*_REFUSALS)})
async def generate(context: Context, who: Who, form: Multipart, idempotency_key: Key = None) -> JobView:
    """Queue a job and answer with its id. From then on it survives crashes and restarts."""
    job = await context.uploads.apart(partial(_submit, context, who, form, idempotency_key))
    return JobView.of(job, await asyncio.to_thread(context.jobs.position, job))


@router.post(
    "/generate/sync",
    response_class=Response,
    responses={
        200: {
            "description": "The song; with several samples a zip of them",
            "content": {**_AUDIO, "application/zip": {"schema": {"type": "string", "format": "binary"}}},
        },
        202: {"description": "Not done in time; the job goes on", "model": JobView},
        **responses(*_REFUSALS, ServeError),
    },
)
async def generate_sync(
    request: Request, context: Context, who: Who, form: Multipart, idempotency_key: Key = None
) -> Response:
    """Queue a job and answer with its audio. It goes on if the client leaves: its id is in X-Job-ID and GET /jobs."""
    job = await context.uploads.apart(partial(_submit, context, who, form, idempotency_key))
    until = time.monotonic() + context.settings.sync_timeout_s
    while not job.ended:
        if time.monotonic() > until or context.stopping or await request.is_disconnected():
            view = JobView.of(job, await asyncio.to_thread(context.jobs.position, job))
            return JSONResponse(view.model_dump(mode="json"), 202, _links(job))
        await asyncio.sleep(_POLL_S)
        job = await asyncio.to_thread(context.jobs.get, who.name, job.id)
    if job.status == CANCELLED:
        raise Conflict("The job was cancelled.")
    if job.status == FAILED:
        error = job.error or {}
        if "field" in error:
            raise Invalid(error["message"], field=error["field"])
        raise ServeError(error.get("message", "The song could not be made."))
    assert job.status == COMPLETED
    if job.order.num_samples == 1:
        return await asyncio.to_thread(file_response, context, job, 0, request.headers.get("range"), _links(job))
    return await asyncio.to_thread(_zip_response, context, job)


@router.post("/jobs/{job_id}/again", status_code=202, responses=responses(NotFound, *_REFUSALS[1:]))
def generate_again(context: Context, who: Who, job_id: JobId) -> JobView:
    """Another take: a job of the same wish and style clip, with a new seed and the current model."""
    earlier = context.jobs.get(who.name, job_id)
    settings = replace(earlier.order.settings, seed=secrets.randbits(31))
    order = replace(earlier.order, settings=settings, model=context.jobs.model(), num_samples=1)
    limit = context.settings.max_jobs_per_key if context.settings.auth_on else None
    data = stored_clip(context, earlier)
    with tempfile.TemporaryDirectory(prefix="songbloom-") as folder:
        clip = FilePath(folder) / "prompt_audio"
        with stored():
            clip.write_bytes(data)
        job, _ = context.jobs.submit(who.name, order, clip, priority=earlier.priority, seed_drawn=True, limit=limit)
    return JobView.of(job, context.jobs.position(job))


def _submit(context: ServeContext, who: Caller, form: GenerateForm, idempotency_key: str | None) -> Job:
    order = _order_of(form, context.jobs.model())
    limit = context.settings.max_jobs_per_key if context.settings.auth_on else None
    if idempotency_key is None:  # one that is known may come again however full it is
        context.jobs.check_room(who.name, limit)
    with context.uploads.checked(form.prompt_audio.file, form.prompt_start) as clip:
        job, _ = context.jobs.submit(
            who.name,
            order,
            clip,
            priority=form.priority,
            idempotency_key=idempotency_key,
            seed_drawn=form.seed is None,
            limit=limit,
        )
    return job


def _order_of(form: GenerateForm, model: str) -> SongOrder:
    settings = {entry.name: getattr(form, entry.name) for entry in fields(SongSettings)}
    if form.seed is None:
        settings["seed"] = secrets.randbits(31)
    return SongOrder(
        lyrics=form.lyrics,
        settings=SongSettings(**settings),
        num_samples=form.num_samples,
        format=form.format,
        idx=form.idx,
        prompt_start=form.prompt_start,
        model=model,
    )


def _zip_response(context: ServeContext, job: Job) -> Response:
    """All songs of a job in one file (compressed already, so only stored)."""
    buffer, order = io.BytesIO(), job.order
    with stored(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for sample in range(order.num_samples):
            data = context.storage.read(keys.audio_key(job.id, sample, order.format))
            archive.writestr(f"{order.idx}_{sample}.{order.format}", data)
    headers = {"Content-Disposition": f'attachment; filename="{job.id}.zip"', **_links(job)}
    return StreamingResponse(iter([buffer.getvalue()]), media_type="application/zip", headers=headers)


def _links(job: Job) -> dict[str, str]:
    return {"X-Job-ID": job.id, "Location": f"/jobs/{job.id}"}
