"""Numbers for Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from songbloom.serve.errors import Unavailable
from songbloom.serve.records import STATUSES

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The registry of one application.

    Args:
        job_counts: number of jobs by status.
        alive: number of workers that beat.
    """

    def __init__(self, job_counts: Callable[[], dict[str, int]], alive: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        names = ["method", "route", "status"]
        self.requests = Counter("songbloom_requests", "Requests answered", names, registry=self.registry)
        self.seconds = Histogram("songbloom_request_seconds", "Time to answer", ["route"], registry=self.registry)
        self.registry.register(_Jobs(job_counts, alive))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Jobs(Collector):
    """Read from the database when asked."""

    def __init__(self, job_counts: Callable[[], dict[str, int]], alive: Callable[[], int]) -> None:
        self._job_counts, self._alive = job_counts, alive

    def collect(self) -> Iterator[GaugeMetricFamily]:
        jobs = GaugeMetricFamily("songbloom_jobs", "Jobs kept, by status", labels=["status"])
        up = GaugeMetricFamily("songbloom_database_up", "Whether the database answers")
        try:
            counts = self._job_counts()
            for status in STATUSES:
                jobs.add_metric([status], counts.get(status, 0))
            up.add_metric([], 1)
        except Unavailable:
            up.add_metric([], 0)
        workers = GaugeMetricFamily("songbloom_workers", "Workers that beat")
        workers.add_metric([], self._alive())
        yield from (jobs, up, workers)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())  # else the registry would collect once to learn the names
