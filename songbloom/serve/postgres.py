"""A Postgres connection that gives up on a server that accepts but never answers."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg


class ImpatientConnection(psycopg.Connection[Any]):
    """Raises OperationalError and closes itself when one answer takes longer than :data:`ANSWER_S`.

    Timeouts of the server do not help where it is the server that hangs, and those of TCP do not where its operating
    system goes on to confirm what arrives.
    """

    ANSWER_S = 10.0

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        return super().wait(self._answered(gen), *args, **options)

    def _answered(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """``gen`` until its time is over. psycopg resumes it when data came, and several times a second anyway."""
        until = time.monotonic() + self.ANSWER_S
        try:
            wish = next(gen)
            while True:
                ready = yield wish
                if not ready and time.monotonic() > until:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {self.ANSWER_S:g} s")
                wish = gen.send(ready)
        except StopIteration as end:
            return end.value
