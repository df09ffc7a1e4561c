"""What can go wrong in the service, each with the HTTP status it is answered with."""

from __future__ import annotations

from songbloom.errors import SongBloomError


class ServeError(SongBloomError):
    """Base. ``status`` and ``title`` are sent to the client, with ``retry_after`` (seconds) where waiting helps."""

    status = 500
    title = "Internal error"
    name = "internal"

    def __init__(self, detail: str, *, retry_after: int | None = None, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail, self.retry_after, self.field = detail, retry_after, field


class NotFound(ServeError):
    status, title, name = 404, "Not found", "not-found"


class Conflict(ServeError):
    status, title, name = 409, "Conflict", "conflict"


class QueueFull(ServeError):
    status, title, name = 429, "The queue is full", "queue-full"


class TooMany(ServeError):
    status, title, name = 429, "Too many requests", "too-many"


class Unauthorized(ServeError):
    status, title, name = 401, "An API key is needed", "unauthorized"


class Forbidden(ServeError):
    status, title, name = 403, "Not allowed", "forbidden"


class TooLarge(ServeError):
    status, title, name = 413, "The upload is too large", "too-large"


class TooSlow(ServeError):
    status, title, name = 408, "The upload took too long", "too-slow"


class Invalid(ServeError):
    status, title, name = 422, "Invalid input", "invalid"


class Unavailable(ServeError):
    """Database or storage does not answer; it is tried again by itself."""

    status, title, name = 503, "Not available now", "unavailable"
