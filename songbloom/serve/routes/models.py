"""``/models``, ``/load-model``, ``/unload-model``: which model songs are made with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Path

from songbloom.checkpoints import registry
from songbloom.errors import InvalidInput
from songbloom.serve.context import Admin, Context, ServeContext
from songbloom.serve.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from songbloom.serve.heartbeat import WorkerState
from songbloom.serve.problems import responses
from songbloom.serve.schemas import Download, LoadingModel, LoadModel, Model, ModelList, UnloadingModel

router = APIRouter(tags=["models"])

_NO_CHOICE = {"dtypes": ["auto"], "quantizations": ["none"]}
ModelName = Annotated[str, Path(max_length=100, description="of GET /models")]


@router.get("/models", responses=responses(Unavailable))
def models(context: Context) -> ModelList:
    """The known models, what the workers hold, and the precisions they offer."""
    states, wishes = context.watch.states(), context.jobs.model_wishes()
    loaded, choices = {state.model for state in states}, wishes["choices"] or _NO_CHOICE
    found = [
        Model(
            name=row.name,
            description=row.description,
            parameters=row.parameters,
            longest_s=row.longest_s,
            licence=row.licence,
            size_bytes=row.size_bytes,
            present=row.present is not None,
            loaded=row.name in loaded,
            download=_download(context, row.name),
        )
        for row in registry.table(context.settings.local_dir)
    ]
    precision = wishes["precision"] or {}
    memory = [state.memory for state in states if state.memory is not None]
    return ModelList(
        models=found,
        current=context.jobs.model(),
        state=_state(states, bool(wishes["resting"])),
        problem=next((state.problem for state in states if state.problem), None),
        memory_bytes=sum(memory) if memory else None,
        dtypes=choices["dtypes"],
        dtype=precision.get("dtype", context.settings.dtype),
        quantizations=choices["quantizations"],
        quantization=precision.get("quantization", context.settings.quantization),
    )


@router.post(
    "/load-model", status_code=202, responses=responses(400, Forbidden, NotFound, Conflict, Invalid, Unavailable)
)
def load_model(context: Context, _: Admin, wanted: LoadModel | None = None) -> LoadingModel:
    """Have the workers load (or reload) a known model, when they are free; new jobs are made with it."""
    wanted = wanted or LoadModel()
    name = wanted.model_name or context.jobs.model()
    if name != context.settings.model:  # the operator's own may also be a folder
        release = _find(name)
        if registry.present(release, context.settings.local_dir) is None:
            raise Conflict(f"{name} is not on this machine; the operator can bring it with: songbloom download {name}")
    context.jobs.choose_model(name, **_precision(context, wanted))
    return LoadingModel(model_name=name)


@router.post("/unload-model", status_code=202, responses=responses(Forbidden, Unavailable))
def unload_model(context: Context, _: Admin) -> UnloadingModel:
    """Have the workers let go of their model when they are free; the next song loads it again."""
    context.jobs.unload_model()
    return UnloadingModel()


@router.post(
    "/models/{model_name}/download",
    status_code=202,
    responses=responses(Forbidden, NotFound, Conflict, Invalid, Unavailable),
)
def download_model(context: Context, _: Admin, model_name: ModelName) -> Download:
    """Bring a published model to this machine; GET /models tells how far it is."""
    release = _find(model_name)
    if registry.present(release, context.settings.local_dir) is not None:
        raise Conflict(f"{model_name} is on this machine.")
    return Download(**asdict(context.downloads.start(release)))


def _find(name: str) -> registry.Release:
    try:
        return registry.find(name)
    except InvalidInput as error:
        raise NotFound(error.remedy) from error


def _precision(context: ServeContext, wanted: LoadModel) -> dict[str, str]:
    choices = context.jobs.model_wishes()["choices"] or _NO_CHOICE
    precision = {}
    for field, known in (("dtype", choices["dtypes"]), ("quantization", choices["quantizations"])):
        value = getattr(wanted, field)
        if value is not None and value not in known:
            raise Conflict(f"The workers do not offer {field} {value}; choose one of {', '.join(known)}.")
        if value is not None:
            precision[field] = value
    return precision


def _state(states: list[WorkerState], resting: bool) -> Literal["loaded", "loading", "resting", "away"]:
    if not states:
        return "away"
    if any(state.model for state in states):
        return "loaded"
    return "resting" if resting else "loading"


def _download(context: ServeContext, name: str) -> Download | None:
    state = context.downloads.state(name)
    return None if state is None else Download(**asdict(state))
