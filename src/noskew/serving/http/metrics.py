"""What the server counts, in the text format of Prometheus.

Every worker writes its counts to files of one directory (``PROMETHEUS_MULTIPROC_DIR``, made by
the server before its workers start), and any of them answers ``/metrics`` for all. Counters and
histograms are sums over the workers, those that were replaced included; what the others counted
is up to a second old. Gauges are given for each living worker, by its process id.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from time import perf_counter

import numpy as np

from noskew.errors import NoskewError, StoreError, missing_extra

try:
    from prometheus_client import (
        CONTENT_TYPE_LATEST,
        CollectorRegistry,
        Counter,
        Gauge,
        Histogram,
        generate_latest,
        multiprocess,
    )
    from prometheus_client.registry import Collector
except ImportError as error:
    raise missing_extra("prometheus-client", "serve", "noskew serve") from error

CONTENT_TYPE = CONTENT_TYPE_LATEST
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
#: Seconds; the bound for p99 is 10 ms, so the steps are small around it.
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


#: Times that a meter keeps before it hands them over by itself.
_MOST_TIMES = 4_096

#: Counts of the audit's log, and what they are of.
_AUDITED = {
    "sampled": "Rows of answers that were chosen to be kept for the audit.",
    "logged": "Those that are in the offline store.",
    "dropped": "Those that were not kept, because too many waited.",
    "failed": "Those that could not be kept.",
}


class Meter:
    """Counts successful requests, and adds them up before it tells the library.

    One observation costs the library some ten microseconds, a tenth of a whole request.
    """

    def __init__(self, requests: Counter, rows: Counter, seconds: Histogram) -> None:
        self._requests, self._rows, self._seconds = requests, rows, seconds
        self._flushed = 0
        self._clear()

    @property
    def total(self) -> int:
        """Requests counted since the worker started."""
        return self._flushed + len(self._times)

    def _clear(self) -> None:
        self._row_count = 0
        self._times: list[float] = []

    def add(self, n: int, start: float) -> None:
        """Count a request of ``n`` rows that arrived at ``start`` of the performance counter."""
        self._times.append(perf_counter() - start)
        self._row_count += n
        if len(self._times) >= _MOST_TIMES:  # whoever flushes may wait for a registry that hangs
            self.flush()

    def flush(self) -> None:
        """Hand over what was counted."""
        times = self._times
        if not times:
            return
        self._flushed += len(times)
        self._requests.inc(len(times))
        self._rows.inc(self._row_count)
        # The library has no public way to observe several values at once.
        self._seconds._sum.inc(sum(times))
        places = np.searchsorted(_BUCKETS, times)
        for at, count in zip(*np.unique(places, return_counts=True), strict=True):
            self._seconds._buckets[at].inc(int(count))
        self._clear()


class Metrics:
    """The counts of one worker. ``also``: what every worker knows alike, and tells with them."""

    def __init__(self, also: Sequence[Collector] = ()) -> None:
        self._registry = CollectorRegistry()
        self._also = also
        self._meters: dict[tuple[str, str], Meter] = {}
        own = self._registry
        labels = ("route", "service", "status")
        self.requests = Counter("noskew_http_requests", "Requests answered.", labels, registry=own)
        self.seconds = Histogram(
            "noskew_http_request_seconds",
            "Time from a request's arrival at the worker to its answer.",
            ("route",),
            registry=own,
            buckets=_BUCKETS,
        )
        self.rows = Counter("noskew_http_rows", "Rows answered.", ("service",), registry=own)
        self.store_errors = Counter(
            "noskew_store_errors", "Reads that the online store failed.", ("type",), registry=own
        )
        self.pushed_rows = Counter(
            "noskew_pushed_rows", "Rows appended to logs.", ("source",), registry=own
        )
        self.push_errors = Counter(
            "noskew_push_errors",
            "Pushes that failed, for the log or the server.",
            ("type",),
            registry=own,
        )
        self.registry_version = Gauge(
            "noskew_registry_version",
            "The version of the registry that is served.",
            registry=own,
            multiprocess_mode="liveall",
        )
        self.registry_errors = Counter(
            "noskew_registry_errors", "Polls of the registry that failed.", registry=own
        )

        self._audited = {
            name: Counter(f"noskew_audit_{name}_rows", about, ("service",), registry=own)
            for name, about in _AUDITED.items()
        }
        self.audit_errors = Counter(
            "noskew_audit_errors",
            "Failures of looking at stores for the audit, or of writing to them; tried again.",
            ("type",),
            registry=own,
        )

    def audited(self, service: str, **rows: int) -> None:
        """Count rows of answers that were sampled, logged, dropped or failed."""
        for name, count in rows.items():
            self._audited[name].labels(service).inc(count)

    def audit_failed(self, error: Exception) -> None:
        """Count a failure of the audit's log."""
        self.audit_errors.labels(type(error).__name__).inc()

    def answered(self, route: str, service: str, status: int, start: float) -> None:
        """Count a request that arrived at ``start`` of the performance counter."""
        self.requests.labels(route, service, str(status)).inc()
        self.seconds.labels(route).observe(perf_counter() - start)

    def meter(self, route: str, service: str) -> Meter:
        """What counts the successful requests for a service."""
        key = (route, service)
        if key not in self._meters:
            self._meters[key] = Meter(
                self.requests.labels(route, service, "200"),
                self.rows.labels(service),
                self.seconds.labels(route),
            )
        return self._meters[key]

    def flush(self) -> None:
        """Have the counts of the meters seen by all workers. In the thread of the requests."""
        for meter in self._meters.values():
            meter.flush()

    def failed(self, error: NoskewError) -> None:
        """Count a store's failure; other errors are the caller's and show in the statuses."""
        if isinstance(error, StoreError):
            self.store_errors.labels(type(error).__name__).inc()

    def text(self) -> bytes:
        """Everything counted so far, by all workers."""
        self.flush()
        together = CollectorRegistry()
        for collector in self._also:
            together.register(collector)
        if DIRECTORY not in os.environ:
            return generate_latest(self._registry) + generate_latest(together)
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def forget_worker(pid: int) -> None:
    """Drop the gauges of a worker that ended; its counts stay."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
