"""How often one caller may ask: a token bucket for each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_MOST_CALLERS = 10_000


class RateLimit:
    """``per_minute`` requests on average, and as many at once as ten seconds allow. For one event loop."""

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
