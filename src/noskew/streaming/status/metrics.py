"""What a process that streams says of itself, in the text format of Prometheus.

Counts are those of the progress: functions of the log, which go on where they were when the process
starts again or another one takes a partition over. So a rate over them is right, and for every
partition and view, at every moment,

    consumed = folded + late + duplicate + quarantined
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Event, Thread

from noskew.clock import MICROS_PER_SECOND, MIN_TIME, Clock
from noskew.errors import ConfigError, NoskewError, missing_extra
from noskew.resources import Closing
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.workers.processor import PartitionPosition

try:
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise missing_extra("prometheus-client", "serve", "--metrics-port") from error

#: Counts of a progress, and what they are of.
_COUNTS = {
    "consumed": "Rows read from the log.",
    "folded": "Rows taken in.",
    "late": "Rows that came late and were kept out.",
    "late_folded": "Those of the rows taken in that came late.",
    "duplicate": "Rows that repeat one that was taken in.",
    "quarantined": "Rows that are no events.",
}
_PLACE = ("source", "view", "partition")
#: How often it is looked how far the archive is; it commits every twenty seconds.
_LOOK_S = 10.0

#: The first offset that is not archived, by view and partition.
Archived = Callable[[], Mapping[tuple[str, int], int]]


class StreamMetrics(Collector, Closing):
    """The metrics of one source's stream in this process.

    It is a watcher of the processor: it keeps what it is told, and makes metrics of it when it is
    asked for them. How far the archive is, a thread of its own looks up: a store that is down
    delays nobody.

    Parameters
    ----------
    archived
        How far the archive is; may raise NoskewError, and what was known before stays.
    """

    def __init__(self, source: str, clock: Clock, archived: Archived) -> None:
        self._source, self._clock, self._archived = source, clock, archived
        self._positions: Sequence[PartitionPosition] = ()
        self._called: int | None = None
        self._fresh: dict[tuple[str, int], int] = {}
        self._offsets: Mapping[tuple[str, int], int] = {}
        self._stop = Event()
        self._thread = Thread(target=self._look, name=f"metrics {source}", daemon=True)
        self._thread.start()

    def __call__(self, positions: Sequence[PartitionPosition]) -> None:
        """Take note of how far the partitions are."""
        # The log was asked for its end after the last call, which so is a time at which a
        # partition that is at the end lacks nothing.
        before, self._called = self._called, self._clock.now()
        self._positions = positions
        for p in positions:
            if p.waiting:
                continue  # folded, and not there for readers
            for view, progress in p.progress.items():
                at_end = MIN_TIME
                if before is not None and progress.next_offset >= p.end:
                    at_end = before
                self._fresh[view, p.partition] = max(progress.known, at_end)

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        positions = list(self._positions)
        each = [(v, p, done) for p in positions for v, done in sorted(p.progress.items())]
        yield from self._counters(each)
        yield from self._gauges(each)
        yield from self._of_the_process(positions)

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _counters(
        self, each: Sequence[tuple[str, PartitionPosition, PartitionProgress]]
    ) -> Iterator[Metric]:
        for name, about in _COUNTS.items():
            counter = CounterMetricFamily(f"noskew_stream_{name}", about, labels=_PLACE)
            for view, p, progress in each:
                counter.add_metric(self._place(view, p), getattr(progress, name))
            yield counter

    def _gauges(
        self, each: Sequence[tuple[str, PartitionPosition, PartitionProgress]]
    ) -> Iterator[Metric]:
        now = self._clock.now()
        lag = _gauge("lag_messages", "Messages of the log that were not read yet.")
        fresh = _gauge("freshness_seconds", "Age of the time up to which readers miss nothing.")
        at = _gauge("next_offset", "The first message that was not read yet.")
        archive = _gauge("archived_offset", "The first message that is not in the offline store.")
        for view, p, progress in each:
            place, key = self._place(view, p), (view, p.partition)
            lag.add_metric(place, max(0, p.end - progress.next_offset))
            at.add_metric(place, progress.next_offset)
            until = self._fresh.get(key, MIN_TIME)
            if until > MIN_TIME:
                fresh.add_metric(place, max(0, now - until) / MICROS_PER_SECOND)
        mine = {p.partition for _, p, _ in each}
        for (view, number), offset in sorted(self._offsets.items()):
            if number in mine:
                archive.add_metric([self._source, view, str(number)], offset)
        yield from (lag, fresh, at, archive)

    def _of_the_process(self, positions: Sequence[PartitionPosition]) -> Iterator[Metric]:
        of = next(iter(positions), None)
        again = CounterMetricFamily(
            "noskew_stream_published_again",
            "Rows published again, for the online store may have lost them.",
            labels=["source"],
        )
        waiting = _gauge("waiting_rows", "Rows that wait for the online store.", ("source",))
        online = _gauge("online_fault", "1: the online store took no rows last.", ("source",))
        archive = _gauge("archive_fault", "1: the archive failed last.", ("source",))
        if of is not None:
            for family, value in (
                (again, of.published_again),
                (waiting, of.waiting),
                (online, of.fault is not None),
                (archive, of.archive_fault is not None),
            ):
                family.add_metric([self._source], value)
        yield from (again, waiting, online, archive)

    def _place(self, view: str, of: PartitionPosition) -> list[str]:
        return [self._source, view, str(of.partition)]

    def _look(self) -> None:
        while True:
            with suppress(NoskewError):  # the archive, which meets the same, tells of it
                self._offsets = self._archived()
            if self._stop.wait(_LOOK_S):
                return


class MetricsServer(Closing):
    """Answers ``GET /metrics`` with the metrics of a collector, by a thread of its own.

    ``port``: 0 takes a free one. Raises ConfigError for an address where it cannot listen.
    """

    def __init__(self, metrics: Collector, *, host: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(metrics)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigError(f"metrics cannot be served at {host}:{port}: {error}") from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _gauge(name: str, about: str, labels: Sequence[str] = _PLACE) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"noskew_stream_{name}", about, labels=labels)
