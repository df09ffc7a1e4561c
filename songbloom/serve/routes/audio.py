"""``/download`` and ``/jobs/{id}/stream``: songs, finished and while they are composed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from songbloom.audio.wav_stream import HEADER_BYTES, wav_header
from songbloom.serve import storage as keys
from songbloom.serve.context import Context, JobId, SampleId, ServeContext, Who
from songbloom.serve.errors import Conflict, Invalid, NotFound, ServeError, Unavailable
from songbloom.serve.problems import responses
from songbloom.serve.records import COMPLETED, Job
from songbloom.serve.sound import MEDIA_TYPES, SongSound, byte_range, file_peaks, file_pieces
from songbloom.serve.storage import stored

router = APIRouter(tags=["audio"])

_POLL_S = 0.25
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_SOUND: dict[str, Any] = {"content": {media: _BINARY for media in MEDIA_TYPES.values()}}
_STREAMED: dict[str, Any] = {"audio/wav": _BINARY, "application/octet-stream": _BINARY}
Range = Annotated[str | None, Header(max_length=100, description="bytes=FIRST-[LAST]")]


class NoSuchRange(ServeError):
    status, title, name = 416, "No such range", "no-such-range"


class StreamQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    sample: int = Field(default=0, ge=0, le=4, description="which of the job's songs")
    format: Literal["wav", "pcm"] = Field(default="wav", description="pcm: 16-bit little-endian without a header")
    from_s: float = Field(default=0.0, ge=0, le=3600, description="where to begin, in seconds of song")


class PeaksQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    points: int = Field(default=400, ge=1, le=2000)


class Peaks(BaseModel):
    seconds: float
    peaks: list[float] = Field(description="largest amplitude in each of as many equal parts, 0 to 1")


class Line(BaseModel):
    section: str = Field(description="kind of the section it is in")
    line: str = Field(description="empty where a section has no words")
    start_s: float
    end_s: float


class Lines(BaseModel):
    lines: list[Line] | None = Field(description="those that are sung; null where the model does not tell")


@router.get(
    "/download/{job_id}/{sample_id}",
    response_class=Response,
    responses={
        200: {"description": "The song", **_SOUND},
        206: {"description": "A part of it", **_SOUND},
        **responses(NotFound, Conflict, NoSuchRange, Invalid, Unavailable),
    },
)
def download(context: Context, who: Who, job_id: JobId, sample_id: SampleId, range: Range = None) -> Response:
    """A finished song, as soon as it is done: the first of several before the others."""
    job = context.jobs.get(who.name, job_id)
    _check_sample(job, sample_id)
    if sample_id >= job.progress.samples_done:
        if job.ended and job.status != COMPLETED:
            raise NotFound(f"The job {job.status} before this song was done.")
        raise Conflict("This song is not done yet.", retry_after=2)
    return file_response(context, job, sample_id, range)


def file_response(
    context: ServeContext, job: Job, sample: int, range: str | None, headers: dict[str, str] | None = None
) -> Response:
    """A finished song, or the range of it that is asked for."""
    key, order = keys.audio_key(job.id, sample, job.order.format), job.order
    with stored(missing="The song is no longer in the storage."):
        size, file = context.storage.size(key), context.storage.open(key)
    try:
        chosen = byte_range(range, size)
    except ValueError as error:
        file.close()
        raise _no_such_range(error) from error
    name = f"{order.idx}_{sample}.{order.format}"
    first, last = (0, size - 1) if chosen is None or chosen[1] is None else (chosen[0], chosen[1])
    all_headers = {
        "Content-Length": str(last - first + 1),
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "ETag": f'"{job.id}-{sample}"',
        "Cache-Control": "private, max-age=3600",
        **(headers or {}),
    }
    if chosen is not None:
        all_headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    pieces, status = file_pieces(file, first, last), 200 if chosen is None else 206
    return StreamingResponse(pieces, status, all_headers, MEDIA_TYPES[order.format])


@router.get("/download/{job_id}/{sample_id}/peaks", responses=responses(NotFound, Invalid, Unavailable))
def peaks(
    context: Context, who: Who, job_id: JobId, sample_id: SampleId, query: Annotated[PeaksQuery, Query()]
) -> Peaks:
    """How loud a finished song is from point to point, to draw it."""
    job = context.jobs.get(who.name, job_id)
    _check_sample(job, sample_id)
    key = keys.audio_key(job.id, sample_id, job.order.format)
    with stored(missing="The song is not done yet, or no longer there."):
        seconds, found = file_peaks(context.storage.open(key), query.points)
    return Peaks(seconds=seconds, peaks=found)


@router.get("/download/{job_id}/{sample_id}/lines", responses=responses(NotFound, Invalid, Unavailable))
def lines(context: Context, who: Who, job_id: JobId, sample_id: SampleId) -> Lines:
    """When each line of a finished song is sung, to follow it."""
    job = context.jobs.get(who.name, job_id)
    _check_sample(job, sample_id)
    with stored(missing="The song is not done yet, or no longer there."):
        about = json.loads(context.storage.read(keys.metadata_key(job.id, sample_id)))
    return Lines(lines=about.get("lines"))


@router.get(
    "/jobs/{job_id}/prompt_audio",
    response_class=Response,
    responses={
        200: {"description": "The file as it was sent", "content": {"application/octet-stream": _BINARY}},
        **responses(NotFound, Invalid, Unavailable),
    },
)
def prompt_audio(context: Context, who: Who, job_id: JobId) -> Response:
    """The style clip a job was asked for with."""
    data = stored_clip(context, context.jobs.get(who.name, job_id))
    return Response(data, media_type="application/octet-stream", headers={"Content-Disposition": "attachment"})


def stored_clip(context: ServeContext, job: Job) -> bytes:
    """The style clip of a job. Raises NotFound, Unavailable."""
    with stored(missing="The style clip is no longer in the storage."):
        return context.storage.read(keys.prompt_key(job.id))


@router.get(
    "/jobs/{job_id}/stream",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The song from the beginning, then as it is composed", "content": _STREAMED},
        206: {"description": "The part of the range that is composed by now", "content": _STREAMED},
        **responses(NotFound, NoSuchRange, Invalid, Unavailable),
    },
)
async def stream(
    request: Request,
    context: Context,
    who: Who,
    job_id: JobId,
    query: Annotated[StreamQuery, Query()],
    range: Range = None,
) -> Response:
    """A song while it is composed. Who joins late hears it from the start, or from `from_s`; after a break go on
    with `Range: bytes=N-`, N being the bytes received, or with `from_s`."""
    job = await asyncio.to_thread(context.jobs.get, who.name, job_id)
    _check_sample(job, query.sample)
    sound = SongSound(context.storage, job, query.sample)
    piece = await _first_piece(request, context, who.name, sound)
    header = HEADER_BYTES if query.format == "wav" else 0
    width = 2 * sound.channels
    frames = await asyncio.to_thread(_frames, sound)
    size = None if frames is None else header + frames * width
    skip = int(query.from_s * sound.rate) * width
    headers = {
        "Cache-Control": "no-store",
        "X-Sample-Rate": str(sound.rate),
        "X-Channels": str(sound.channels),
        "Accept-Ranges": "bytes",
    }
    media = "audio/wav" if header else "application/octet-stream"
    try:
        chosen = byte_range(range, size) if not query.from_s else None
    except ValueError as error:
        sound.close()
        raise _no_such_range(error) from error
    body = _composed(context, who.name, sound, piece)
    if chosen is None:
        rest = None if frames is None else max(0, frames * width - skip)
        begin = wav_header(sound.rate, sound.channels, rest) if header else b""
        return StreamingResponse(_after(body, begin, skip), 200, headers, media)
    first, last = chosen
    begin = wav_header(sound.rate, sound.channels) if header else b""
    if size is not None and last is not None:
        headers |= {"Content-Range": f"bytes {first}-{last}/{size}", "Content-Length": str(last - first + 1)}
        return StreamingResponse(_between(body, begin, first, last), 206, headers, media)
    data = await _so_far(request, body, begin, first, last)
    if not data:
        raise _no_such_range(ValueError("bytes */*"))
    headers["Content-Range"] = f"bytes {first}-{first + len(data) - 1}/*"
    return Response(data, 206, headers, media)


def _frames(sound: SongSound) -> int | None:
    with stored():
        return sound.open_if_finished()


async def _first_piece(request: Request, context: ServeContext, owner: str, sound: SongSound) -> bytes:
    """Wait for the first sound, without which rate and channels are not known."""
    while True:
        with stored():
            piece = await asyncio.to_thread(sound.read)
        if piece:
            return piece
        job = await asyncio.to_thread(context.jobs.get, owner, sound.job.id)
        # Nobody cancels what waits before its answer has begun, so it looks for itself whether the client has left.
        if piece is None or job.ended or context.stopping or await request.is_disconnected():
            raise NotFound(f"There is no sound: the job is {job.status}.")
        await asyncio.sleep(_POLL_S)


async def _composed(context: ServeContext, owner: str, sound: SongSound, piece: bytes) -> AsyncIterator[bytes]:
    """PCM until the song or the job ends; b'' while there is nothing new."""
    found: bytes | None = piece
    try:
        while found is not None:
            yield found
            try:
                found = await asyncio.to_thread(sound.read)
                if found == b"":
                    job = await asyncio.to_thread(context.jobs.get, owner, sound.job.id)
                    if context.stopping or (job.ended and job.status != COMPLETED):
                        return
                    await asyncio.sleep(_POLL_S)
            except NotFound:
                return  # deleted
            except (OSError, ServeError):
                found = b""
                await asyncio.sleep(_POLL_S)
    finally:
        # A client that leaves ends this while a thread still reads; closing waits for it, so not in the event loop.
        asyncio.get_running_loop().run_in_executor(None, sound.close)


async def _after(body: AsyncIterator[bytes], begin: bytes, skip: int) -> AsyncIterator[bytes]:
    """The header and the PCM after its first ``skip`` bytes."""
    if begin:
        yield begin
    async for piece in body:
        taken = min(skip, len(piece))
        skip -= taken
        if len(piece) > taken:
            yield piece[taken:]


async def _between(body: AsyncIterator[bytes], begin: bytes, first: int, last: int) -> AsyncIterator[bytes]:
    """Bytes ``first`` to ``last`` of header and PCM."""
    at = 0
    async for piece in _chain(begin, body):
        part = piece[max(0, first - at) : last + 1 - at]
        at += len(piece)
        if part:
            yield part
        if at > last:
            return


async def _so_far(
    request: Request, body: AsyncIterator[bytes], begin: bytes, first: int, last: int | None
) -> bytes:
    """What there is from byte ``first`` on; waits until there is something, or the client has left."""
    parts, at = [], 0
    async for piece in _chain(begin, body):
        part = piece[max(0, first - at) : None if last is None else max(0, last + 1 - at)]
        at += len(piece)
        if part:
            parts.append(part)
        if (parts and not piece) or (last is not None and at > last) or await request.is_disconnected():
            break
    return b"".join(parts)


async def _chain(begin: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if begin:
        yield begin
    async for piece in body:
        yield piece


def _check_sample(job: Job, sample: int) -> None:
    if sample >= job.order.num_samples:
        raise NotFound(f"The job has {job.order.num_samples} samples, counted from 0.")


def _no_such_range(error: ValueError) -> NoSuchRange:
    return NoSuchRange(f"The song has not so many bytes ({error}).")
