"""stream: fold a source's stream online, with a live view."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from noskew.cli.console import err, session

if TYPE_CHECKING:
    from noskew.streaming.processor import Progress

#: How often the live view changes, in seconds.
_REDRAW_S = 0.25


def stream(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="A source that has a stream.")],
    once: Annotated[
        bool, typer.Option("--once", help="Stop when everything that is there now is online.")
    ] = False,
) -> None:
    """Fold a source's stream into the online store and the offline one, until Ctrl-C.

    Safe to stop and to kill: it goes on where it was, nothing is lost and nothing counts twice.
    """
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with session(ctx).store() as store, _LiveView(source) as shown:
        store.stream(source, stop=None if once else stop, progress=shown)
    shown.summary()


class _LiveView:
    """A table of partitions that is drawn over and over on a terminal, once elsewhere."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._live = Live(console=err, auto_refresh=False, transient=True)
        self._started = self._drawn = perf_counter()
        self._first: dict[int, int] | None = None
        self._last: Sequence[Progress] = ()

    def __call__(self, progress: Sequence[Progress]) -> None:
        self._last = progress
        if self._first is None:
            self._first = {p.partition: _consumed(p) for p in progress}
        now = perf_counter()
        if err.is_terminal and now - self._drawn >= _REDRAW_S:
            self._drawn = now
            self._live.update(self._table(), refresh=True)

    def summary(self) -> None:
        """What was done, in one table."""
        if self._last:
            err.print(self._table())

    def __enter__(self) -> _LiveView:
        if err.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if err.is_terminal:
            self._live.stop()

    def _table(self) -> Table:
        table = Table(title=f"stream {self._source}", title_justify="left", box=None)
        for name in ("partition", "rows", "rows/s", "lag", "folded", "late", "twice", "bad"):
            table.add_column(name, justify="right")
        seconds = max(perf_counter() - self._started, 1e-9)
        first = self._first or {}
        for p in self._last:
            mark = max(p.marks.values(), key=lambda m: m.consumed)
            done = _consumed(p) - first.get(p.partition, 0)
            cells = [p.partition, done, round(done / seconds), p.lag,
                     mark.folded, mark.late, mark.duplicate, mark.quarantined]  # fmt: skip
            table.add_row(*(f"{c:,}" for c in cells))
        return table


def _consumed(progress: Progress) -> int:
    return max(m.consumed for m in progress.marks.values())
