"""Errors a user can cause. Their text is the whole message: what, which value, what to do."""

from __future__ import annotations

from typing import Any


class SongBloomError(Exception):
    """Base of every error this package raises on purpose; ``str(error)`` is fit to show a user."""


class InvalidInput(SongBloomError, ValueError):
    """Input that cannot be used, found before any work is done.

    Args:
        field: the option, column or argument at fault, as the user wrote it (``"steps"``).
        value: the value received; long values are shortened in the message.
        remedy: what is wrong and what to do about it, as one sentence.
    """

    def __init__(self, field: str, value: Any, remedy: str) -> None:
        self.field, self.value, self.remedy = field, value, remedy
        shown = repr(value)
        if len(shown) > 80:
            shown = f"{shown[:60]}... ({len(shown)} characters)"
        super().__init__(f"{field}={shown}: {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.value, self.remedy)


class CheckpointError(SongBloomError):
    """A checkpoint that cannot be found, trusted or matched to its configuration."""


class OutputError(SongBloomError):
    """A result that cannot be written: no permission, no space, not a directory."""


class Cancelled(SongBloomError):
    """The work was cancelled by its owner; nothing half-written is left."""


class OutOfMemory(SongBloomError):
    """The device's memory is too small for what was asked; the text says what is needed and what to do."""


class NotAvailable(SongBloomError):
    """A feature this installation or this release does not have; the text says how to get it."""
