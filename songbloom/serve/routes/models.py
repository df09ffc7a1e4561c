"""``/models`` and ``/load-model``."""

from __future__ import annotations

from fastapi import APIRouter

from songbloom.checkpoints import registry
from songbloom.errors import InvalidInput
from songbloom.serve.context import Admin, Context
from songbloom.serve.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from songbloom.serve.problems import responses
from songbloom.serve.schemas import LoadingModel, LoadModel, Model, ModelList

router = APIRouter(tags=["models"])


@router.get("/models", responses=responses(Unavailable))
def models(context: Context) -> ModelList:
    """The known models."""
    loaded = set(context.watch.ready().values())
    rows = registry.table(context.settings.local_dir)
    found = [
        Model(
            name=row.name,
            description=row.description,
            parameters=row.parameters,
            longest_s=row.longest_s,
            licence=row.licence,
            present=row.present is not None,
            loaded=row.name in loaded,
        )
        for row in rows
    ]
    return ModelList(models=found, current=context.jobs.model())


@router.post(
    "/load-model", status_code=202, responses=responses(400, Forbidden, NotFound, Conflict, Invalid, Unavailable)
)
def load_model(context: Context, _: Admin, wanted: LoadModel | None = None) -> LoadingModel:
    """Have the workers load (or reload) a known model, when they are free; new jobs are made with it."""
    name = (wanted.model_name if wanted else None) or context.jobs.model()
    if name != context.settings.model:  # the operator's own may also be a folder
        try:
            release = registry.find(name)
        except InvalidInput as error:
            raise NotFound(error.remedy) from error
        if registry.present(release, context.settings.local_dir) is None:
            raise Conflict(f"{name} is not on this machine; the operator can bring it with: songbloom download {name}")
    context.jobs.choose_model(name)
    return LoadingModel(model_name=name)
