"""stream status: how far the streams are, from any machine."""

from __future__ import annotations

import signal
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from noskew.cli.console import err, out, session
from noskew.cli.render.stream_json import status_data, to_json
from noskew.cli.render.stream_status import status_parts
from noskew.definitions.source import Source
from noskew.errors import InputError
from noskew.feature_store import FeatureStore
from noskew.streaming.status.stream_status import Observer, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType


#: Seconds from one look to the next.
_EVERY_S = 1.0


def status(
    ctx: typer.Context,
    source: Annotated[
        str | None, typer.Argument(help="A source that has a stream; default: all.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, with exact numbers.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")
    ] = False,
) -> None:
    """Show how far each partition is: lag, freshness, what became of its rows, the archive.

    It reads what all machines share, the log, the online store and the offline one, so it can be
    run anywhere and disturbs nobody. What cannot be reached is said, and the rest is shown.
    """
    with session(ctx).store() as store:
        sources = _chosen(store, source)
        if not sources:
            err.print("No source has a stream; give one [b]stream=ns.LocalLog()[/b] or ns.Kafka(…)")
            return
        views = store.applied.project.views.values()
        observer = Observer(
            store.tenant,
            store.clock,
            store.registry,
            store.logs,
            lambda: store.offline,
            lambda: store.online,
        )

        def look() -> list[SourceStatus]:
            return [observer.look(s, views) for s in sources]

        if watch:
            _watch(look, store, as_json=as_json)
        elif as_json:
            data = {"sources": [status_data(s) for s in look()]}
            out.print(to_json(data), soft_wrap=True, markup=False)
        else:
            out.print(_drawn(look(), store))


def _chosen(store: FeatureStore, name: str | None) -> list[Source]:
    project = store.applied.project
    if name is None:
        return [s for s in project.sources.values() if s.stream is not None]
    chosen = project.source(name)
    if chosen.stream is None:
        raise InputError(
            f"source {name!r} has no stream; give it stream=ns.LocalLog() or ns.Kafka(…)"
        )
    return [chosen]


def _drawn(statuses: Sequence[SourceStatus], store: FeatureStore) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    bounds = {v.name: v.freshness for v in store.applied.project.views.values()}
    parts = [part for s in statuses for part in (*status_parts(s, bounds), Text())]
    return Group(*parts[:-1])


def _watch(look: Callable[[], list[SourceStatus]], store: FeatureStore, *, as_json: bool) -> None:
    """Draw in one place on a terminal; elsewhere write what was seen each time."""
    from rich.live import Live

    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    live = Live(console=out, auto_refresh=False)
    if as_json or not out.is_terminal:
        while not stop.is_set():
            _write(look(), store, as_json=as_json)
            stop.wait(_EVERY_S)
        return
    with live:
        while not stop.is_set():
            live.update(_drawn(look(), store), refresh=True)
            stop.wait(_EVERY_S)


def _write(statuses: Sequence[SourceStatus], store: FeatureStore, *, as_json: bool) -> None:
    if as_json:
        line = to_json({"sources": [status_data(s) for s in statuses]}, indent=False)
        out.print(line, soft_wrap=True, markup=False)
    else:
        out.print(_drawn(statuses, store))
    out.file.flush()
