"""Errors as problem+json (RFC 9457); never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from songbloom.errors import InvalidInput
from songbloom.serve import errors
from songbloom.serve.errors import Invalid, ServeError
from songbloom.serve.schemas import Problem

log = logging.getLogger(__name__)

_MEDIA_TYPE = "application/problem+json"
_KINDS: dict[int, type[ServeError]] = {
    404: errors.NotFound,
    408: errors.TooSlow,
    413: errors.TooLarge,
}


def problem_response(
    error: ServeError, request_id: str, fields: Sequence[tuple[str, str]] = (), headers: dict[str, str] | None = None
) -> JSONResponse:
    """The answer to ``error``."""
    fields = fields or ([(error.field, error.detail)] if error.field else [])
    body = Problem(
        type=f"urn:songbloom:problem:{error.name}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        errors=[{"field": field, "message": message} for field, message in fields],  # type: ignore[misc]
        request_id=request_id,
    )
    headers = dict(headers or {})
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body.model_dump(), error.status, headers, _MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""

    @app.exception_handler(ServeError)
    async def serve_error(request: Request, error: ServeError) -> JSONResponse:
        return problem_response(error, _id(request))

    @app.exception_handler(InvalidInput)
    async def invalid_input(request: Request, error: InvalidInput) -> JSONResponse:
        return problem_response(Invalid(f"{error.field}: {error.remedy}"), _id(request), [(error.field, error.remedy)])

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        fields = [(_field(entry["loc"]), str(entry["msg"])) for entry in error.errors()]
        detail = "; ".join(f"{field}: {message}" for field, message in fields)
        return problem_response(Invalid(detail), _id(request), fields)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        kind = _KINDS.get(error.status_code, ServeError)
        answer = kind(str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == 405:  # the framework knows only the first of a path's routes
            headers["Allow"] = ", ".join(sorted(_methods(request)))
        if kind is ServeError:
            answer.status, answer.title, answer.name = error.status_code, str(error.detail), "http"
        return problem_response(answer, _id(request), headers=headers)


def responses(*kinds: type[ServeError] | int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the problems a route may answer with."""
    codes = {kind if isinstance(kind, int) else kind.status for kind in kinds}
    content = {_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"description": _TITLES.get(code, "A problem"), "content": content} for code in sorted(codes)}


_KNOWN: list[type[ServeError]] = [ServeError, *ServeError.__subclasses__()]
_TITLES = {kind.status: kind.title for kind in _KNOWN} | {
    400: "The request cannot be read",
    416: "No such range",
    429: "Too many requests, or the queue is full",
}


def _methods(request: Request) -> set[str]:
    """The methods that the request's path has."""
    paths = [route for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE]
    return {method for route in paths for method in getattr(route, "methods", None) or ()}


def _field(location: Sequence[int | str]) -> str:
    """The field's name without where it came from ('body', 'query', ...)."""
    names = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    return ".".join(names) or "body"


def _id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))
