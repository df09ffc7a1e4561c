"""What goes over the wire; OpenAPI is made of these."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from fastapi import File, UploadFile
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from songbloom.request import MAX_SEED, Guidance, Quantization, Solver
from songbloom.serve.library import LibrarySong
from songbloom.serve.records import FIRST, LAST, USUAL, Job

Status = Literal["pending", "processing", "completed", "failed", "cancelled"]
Format = Literal["flac", "wav", "mp3", "ogg", "opus"]

#: Longer than any model reads; keeps requests small.
MOST_LYRICS = 20_000
_SOMETHING = r"^[^\x00]*[^\s\x00][^\x00]*$"  # something to sing, and no NUL, which databases do not take
_NAME = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$"
_NO_NUL = r"^[^\x00]*$"


class GenerateForm(BaseModel):
    """The fields of ``POST /generate``. What is left out is what the model recommends."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    lyrics: Annotated[
        str,
        Field(min_length=1, max_length=MOST_LYRICS, pattern=_SOMETHING, description="with or without section tags"),
    ]
    prompt_audio: Annotated[
        UploadFile,
        File(
            description="style clip: an audio file of at least 1 s, better 10 s",
            json_schema_extra={"format": "binary"},  # what makers of clients look for
        ),
    ]
    num_samples: Annotated[int, Field(ge=1, le=5, description="songs to make; their seeds count up")] = 1
    cfg_coef: Annotated[float | None, Field(ge=0, le=5, description="guidance; 1 is none")] = None
    steps: Annotated[int | None, Field(ge=1, le=100, description="diffusion steps")] = None
    top_k: Annotated[int | None, Field(ge=0, le=1000, description="candidates for each token; 0 keeps all")] = None
    top_p: Annotated[float, Field(ge=0, le=1, description="above 0 it replaces top_k")] = 0.0
    min_p: Annotated[float, Field(ge=0, le=1, description="drops what is less likely than this share")] = 0.0
    temperature: Annotated[float | None, Field(ge=0, le=2, description="of the sketch")] = None
    diffusion_temperature: Annotated[float | None, Field(ge=0, le=1, description="of the sound")] = None
    max_duration: Annotated[
        float | None, Field(gt=0, le=3600, description="longest song in seconds, rounded up to a whole block")
    ] = None
    guidance: Annotated[Guidance | None, Field(description="what guides the refiner")] = None
    guidance_from: Annotated[float, Field(ge=0, le=1, description="flow time from which h guides")] = 1.0
    guidance_to: Annotated[float, Field(ge=0, le=1, description="flow time to which h guides")] = 0.0
    solver: Annotated[Solver | None, Field(description="of the flow")] = None
    seed: Annotated[int | None, Field(ge=0, lt=MAX_SEED + 1, description="the same makes the same song")] = None
    prompt_start: Annotated[float, Field(ge=0, le=36000, description="where in the clip to begin, in seconds")] = 0.0
    format: Annotated[Format, Field(description="of the songs")] = "flac"
    idx: Annotated[str, Field(max_length=100, pattern=_NAME, description="name of the song and its file")] = "song"
    priority: Annotated[int, Field(ge=FIRST, le=LAST, description=f"{FIRST} first, {LAST} last")] = USUAL


class Sample(BaseModel):
    """One finished song of a job."""

    sample_id: int
    seed: int
    seconds: float
    url: str


class Progress(BaseModel):
    samples_done: int = Field(description="songs that can be downloaded")
    song_s: float = Field(description="seconds composed of the song in work")
    expected_s: float | None = Field(description="about how long it will be")
    left_s: float | None = Field(description="about how many seconds the job still takes")
    note: str | None = Field(description="what it waits for, if not for its turn")


class JobFailure(BaseModel):
    message: str
    field: str | None = Field(default=None, description="the form field at fault")


class JobView(BaseModel):
    """A job as its owner sees it."""

    job_id: str
    status: Status
    cancelling: bool = Field(description="asked to end, and will within a block or once what is to be kept is saved")
    queue_position: int | None = Field(description="jobs before this one while it waits")
    priority: int
    attempts: int = Field(description="times it was begun")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: Progress
    samples: list[Sample]
    error: JobFailure | None
    model: str
    lyrics: str
    num_samples: int
    format: Format
    idx: str
    prompt_start: float
    settings: dict[str, Any] = Field(description="as they were asked for, and the seed")

    @classmethod
    def of(cls, job: Job, position: int | None) -> JobView:
        order, progress = job.order, job.progress
        return cls(
            job_id=job.id,
            status=job.status,  # type: ignore[arg-type]
            cancelling=job.cancel and not job.ended,
            queue_position=position,
            priority=job.priority,
            attempts=job.attempts,
            created_at=_time(job.created),
            started_at=None if job.started is None else _time(job.started),
            finished_at=None if job.finished is None else _time(job.finished),
            progress=Progress(
                samples_done=progress.samples_done,
                song_s=round(progress.song_s, 3),
                expected_s=progress.expected_s,
                left_s=progress.left_s,
                note=progress.note,
            ),
            samples=[
                Sample(sample_id=i, seed=order.settings.seed_of(i), seconds=seconds, url=f"/download/{job.id}/{i}")
                for i, seconds in enumerate(progress.seconds)
            ],
            error=None if job.error is None else JobFailure(**job.error),
            model=order.model,
            lyrics=order.lyrics,
            num_samples=order.num_samples,
            format=order.format,  # type: ignore[arg-type]
            idx=order.idx,
            prompt_start=order.prompt_start,
            settings={name: value for name, value in vars(order.settings).items() if value is not None},
        )


class JobPage(BaseModel):
    jobs: list[JobView]
    next: str | None = Field(description="pass as `before` for the next page")


class ListQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: Status | None = None
    limit: int = Field(default=50, ge=1, le=200)
    before: str | None = Field(default=None, pattern="^[0-9a-f]{32}$", description="`next` of the page before")


class LibraryQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    search: str = Field(default="", max_length=200, pattern=_NO_NUL, description="words of title, tags or lyrics")
    favourite: bool = Field(default=False, description="favourites only")
    trashed: bool = Field(default=False, description="what is in the bin instead")
    limit: int = Field(default=50, ge=1, le=200)
    before: str | None = Field(default=None, pattern="^[0-9a-f]{32}$", description="`next` of the page before")


class LibrarySongView(BaseModel):
    job: JobView
    title: str
    tags: list[str]
    favourite: bool
    trashed_at: datetime | None

    @classmethod
    def of(cls, song: LibrarySong) -> LibrarySongView:
        return cls(
            job=JobView.of(song.job, None),
            title=song.title,
            tags=song.tags,
            favourite=song.favourite,
            trashed_at=None if song.trashed is None else _time(song.trashed),
        )


class LibraryPage(BaseModel):
    songs: list[LibrarySongView]
    next: str | None = Field(description="pass as `before` for the next page")


Tag = Annotated[str, Field(min_length=1, max_length=40, pattern=_SOMETHING)]


class SongChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(default=None, min_length=1, max_length=200, pattern=_SOMETHING)
    tags: list[Tag] | None = Field(default=None, max_length=20)
    favourite: StrictBool | None = None


class LyricsQuestion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lyrics: str = Field(max_length=MOST_LYRICS, description="with or without section tags")


class LyricsSection(BaseModel):
    kind: str
    lines: list[str]
    phonemes: list[str] = Field(description="of each line")
    seconds: float = Field(description="an estimate")


class LyricsAnswer(BaseModel):
    model: str
    seconds: float = Field(description="of the song, an estimate")
    tokens: int = Field(description="positions of the model's prefix that it fills")
    sections: list[LyricsSection]
    warnings: list[str]


class CancelQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keep: bool = Field(default=False, description="make a song of what is composed by now")


class Download(BaseModel):
    running: bool
    file: str | None = Field(description="under way")
    done: int = Field(description="bytes of that file")
    total: int | None = Field(description="bytes of that file, where known")
    error: str | None


class Model(BaseModel):
    name: str
    description: str
    parameters: int | None
    longest_s: float
    licence: str
    size_bytes: int | None = Field(description="of its files; an estimate where it is not present")
    present: bool = Field(description="on this machine")
    loaded: bool = Field(description="in a worker, now")
    download: Download | None = Field(description="the last one since the service began")


class ModelList(BaseModel):
    models: list[Model]
    current: str = Field(description="the model new jobs are made with")
    state: Literal["loaded", "loading", "resting", "away"] = Field(
        description="of the workers; resting: none is loaded until a song needs one; away: no worker answers"
    )
    problem: str | None = Field(description="why a worker cannot load it")
    memory_bytes: int | None = Field(description="held by the workers")
    dtypes: list[str] = Field(description="that the workers offer")
    dtype: str
    quantizations: list[str] = Field(description="that the workers offer")
    quantization: str


class LoadModel(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_name: str | None = Field(default=None, max_length=100, description="default: the current one, again")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] | None = Field(
        default=None, description="of those of GET /models; default: the service's"
    )
    quantization: Quantization | None = Field(
        default=None, description="of those of GET /models; default: the service's"
    )


class UnloadingModel(BaseModel):
    status: Literal["unloading"] = "unloading"


class LoadingModel(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    status: Literal["loading"] = "loading"


class Info(BaseModel):
    name: str
    version: str
    docs: str
    model: str
    endpoints: dict[str, str]


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: str
    uptime_s: float


class Ready(BaseModel):
    status: Literal["ready"] = "ready"
    workers: int


class FieldError(BaseModel):
    field: str
    message: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(description="which fields are at fault, where it is fields")
    request_id: str = Field(description="also in X-Request-ID and in the server's log")


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
