"""stream run: fold a source's stream online, with a live view and metrics."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Annotated, Any

import typer

from noskew.cli.console import err, session
from noskew.cli.render.stream_progress import LiveView
from noskew.cli.warmth import tell_if_cold
from noskew.errors import NotFoundError
from noskew.feature_store import FeatureStore
from noskew.streaming.status.stream_status import archived
from noskew.streaming.workers.processor import PartitionPosition


def run(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="A source that has a stream.")],
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Stop when everything that is there now is online.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, metavar="PORT", help="Serve metrics for Prometheus; 0: any port."
        ),
    ] = None,
    metrics_host: Annotated[
        str,
        typer.Option(
            metavar="HOST",
            help="Where to serve them; 0.0.0.0: to other machines, too.",
        ),
    ] = "127.0.0.1",
) -> None:
    """Fold a source's stream into the online store and the offline one, until Ctrl-C.

    Ctrl-C and SIGTERM finish what is begun, publish and archive it. Safe to kill as well: the
    stream goes on where it was, nothing is lost and nothing counts twice. Start it as often as
    you like, here and elsewhere: the processes share the partitions.
    """
    stop = None if once else _stop_at_signals()
    tell_if_cold()
    with session(ctx).store() as store:
        try:
            store.applied.project.source(source)
        except NotFoundError as error:
            error.add_note("Commands are listed by: noskew stream --help")
            raise
        with _metrics(store, source, metrics_host, metrics_port) as count, LiveView(source) as view:

            def watch(positions: Sequence[PartitionPosition]) -> None:
                view(positions)
                count(positions)

            store.stream(source, stop=stop, progress=watch)
    view.summary()


def _stop_at_signals() -> Event:
    """What SIGINT and SIGTERM set. A second one ends the process as if nobody had minded."""
    stop = Event()

    def handle(number: int, frame: Any) -> None:
        del frame
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    return stop


@contextmanager
def _metrics(
    store: FeatureStore, name: str, host: str, port: int | None
) -> Iterator[Callable[[Sequence[PartitionPosition]], None]]:
    """A watcher that serves metrics; without a port one that does nothing."""
    if port is None:
        yield lambda positions: None
        return
    # Which needs prometheus_client.
    from noskew.streaming.status.metrics import MetricsServer, StreamMetrics

    project = store.applied.project
    log, offline = store.logs.of(project.source(name)).identity, store.offline
    views = [v for v in project.views.values() if v.source.name == name]

    def offsets() -> dict[tuple[str, int], int]:
        return {
            (view.name, number): progress.next_offset
            for view in views
            for number, progress in archived(offline, view, log).items()
        }

    with (
        StreamMetrics(name, store.clock, offsets) as metrics,
        MetricsServer(metrics, host=host, port=port) as server,
    ):
        err.print(f"metrics at [b]{server.url}[/b]")
        yield metrics
