"""How often one caller may ask, and how much at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from songbloom.serve.errors import TooMany

_MOST_CALLERS = 10_000


class RateLimit:
    """A token bucket for each: ``per_minute`` requests on average, and as many at once as ten seconds allow.

    For one event loop.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._most, self._clock = per_minute / 60, max(1.0, per_minute / 6), clock
        self._buckets: dict[str, tuple[float, float]] = {}  # caller -> tokens, when

    def wait_s(self, caller: str) -> int:
        """0 if a request may be made now, and it is counted; else the seconds to wait."""
        now = self._clock()
        tokens, when = self._buckets.get(caller, (self._most, now))
        tokens = min(self._most, tokens + (now - when) * self._per_s)
        if tokens < 1:
            self._buckets[caller] = tokens, now
            return math.ceil((1 - tokens) / self._per_s)
        if len(self._buckets) >= _MOST_CALLERS and caller not in self._buckets:
            self._buckets.clear()
        self._buckets[caller] = tokens - 1, now
        return 0


class OpenLimit:
    """How many requests one caller may have under way; who has no name has no limit. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, caller: str) -> Iterator[None]:
        """Raises TooMany."""
        if not caller:
            yield
            return
        if self._open[caller] >= self._most:
            raise TooMany(f"{self._most} requests of this key are under way, as many as may be.", retry_after=5)
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]


class Turns:
    """One at a time, in the order they come; with ``most`` in line others are sent away. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most, self._there, self._turn = most, 0, asyncio.Semaphore(1)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Raises TooMany."""
        if self._there >= self._most:
            raise TooMany(f"{self._most} others are in line.", retry_after=2)
        self._there += 1
        try:
            async with self._turn:
                yield
        finally:
            self._there -= 1
