"""Numbers about the server for Prometheus.  The only importer of its client.

A label never holds what a client sent: routes are named by their pattern.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from starlette.types import Scope

    from runner.store import WorkerRecord

MEDIA_TYPE = CONTENT_TYPE_LATEST
ALIVE_S = 60.0  # a worker that was not seen for longer is not counted
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The numbers of one server process."""

    def __init__(self, version: str, listeners: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        Info("supernaut", "The server.", registry=self._registry).info({"version": version})
        self._requests = Counter(
            "supernaut_requests_total",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "supernaut_request_seconds",
            "How long an answer took, a stream of events until it ended.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        Gauge("supernaut_listeners", "Open streams of events.", registry=self._registry).set_function(listeners)
        self._workers = Gauge(
            "supernaut_workers", "Workers that were seen within the last minute.", registry=self._registry
        )
        self._working = Gauge(
            "supernaut_workers_busy", "Those of them that run a study or a job.", registry=self._registry
        )

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def page(self, workers: Sequence[WorkerRecord], now: datetime) -> bytes:
        """All numbers, with what the record says of the workers."""
        alive = [worker for worker in workers if is_alive(worker, now)]
        self._workers.set(len(alive))
        self._working.set(sum(worker.study_id is not None for worker in alive))
        return generate_latest(self._registry)


def is_alive(worker: WorkerRecord, now: datetime) -> bool:
    """Whether a worker was seen lately and did not say goodbye."""
    return worker.stopped_at is None and (now - worker.seen_at).total_seconds() < ALIVE_S
