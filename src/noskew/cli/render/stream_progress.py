"""How a stream process is getting on, drawn over and over on a terminal, once elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from noskew.cli.console import err
from noskew.cli.render.stream_counts import cells, shown_number, stream_table, total
from noskew.errors import NoskewError
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.workers.processor import PartitionPosition

#: How often the view changes, and over how long it says how fast the stream is, in seconds.
_REDRAW_S = 0.25
_SPAN_S = 5.0


class LiveView:
    """A line for each view, of all partitions that this process works on; a watcher.

    Elsewhere than on a terminal only faults are told, when they come and when they are over.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._live = Live(console=err, auto_refresh=False, transient=True)
        self._started = self._drawn = perf_counter()
        self._rows = 0
        self._read: dict[int, int] = {}
        self._times: deque[tuple[float, int]] = deque([(self._started, 0)])
        self._last: Sequence[PartitionPosition] = ()
        self._faults: Mapping[str, str] = {}

    def __call__(self, positions: Sequence[PartitionPosition]) -> None:
        """Take note of how far the partitions are, and show it now and then."""
        before, self._read = self._read, {p.partition: _consumed(p) for p in positions}
        self._rows += sum(n - before.get(partition, n) for partition, n in self._read.items())
        self._last = positions or self._last
        now = perf_counter()
        if now - self._drawn < _REDRAW_S:
            return
        self._drawn = now
        self._times.append((now, self._rows))
        while self._times[1][0] < now - _SPAN_S:
            self._times.popleft()
        if err.is_terminal:
            self._live.update(self._shown(self._rate(self._times[0], now)), refresh=True)
        else:
            self._tell_faults()

    def summary(self) -> None:
        """What was done."""
        now = perf_counter()
        if not self._last:
            err.print(f"stream {self._source}: other processes have all of its partitions")
            return
        err.print(self._shown(self._rate((self._started, 0), now)))

    def __enter__(self) -> LiveView:
        if err.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if err.is_terminal:
            self._live.stop()

    def _rate(self, since: tuple[float, int], now: float) -> float:
        return (self._rows - since[1]) / max(now - since[0], 1e-9)

    def _shown(self, rate: float) -> RenderableType:
        seconds = perf_counter() - self._started
        parts = ", ".join(str(p.partition) for p in sorted(self._last, key=lambda p: p.partition))
        title = (
            f"stream {self._source}: {shown_number(self._rows)} rows in {seconds:,.1f} s, "
            f"{rate:,.0f} rows/s"
        )
        table = stream_table(title, ["view"], ["lag"])
        by_view: dict[str, list[tuple[PartitionPosition, PartitionProgress]]] = {}
        for p in self._last:
            for view, progress in p.progress.items():
                by_view.setdefault(view, []).append((p, progress))
        for view, each in sorted(by_view.items()):
            lag = sum(max(0, p.end - progress.next_offset) for p, progress in each)
            shown = Text(shown_number(lag), "yellow" if lag else "green")
            table.add_row(view, shown, *cells(total(progress for _, progress in each)))
        notes = [Text(f"{what}: {why}", "yellow") for what, why in _faults(self._last).items()]
        return Group(table, Text(f"partitions {parts}" if parts else "no partition", "dim"), *notes)

    def _tell_faults(self) -> None:
        faults = _faults(self._last)
        for what in self._faults.keys() | faults.keys():
            why = faults.get(what)
            if why is not None and what not in self._faults:
                err.print(f"[yellow]{what}[/yellow]: ", end="")
                err.print(why, markup=False, soft_wrap=True)
            elif why is None:
                err.print(f"[green]{what}[/green]: works again")
        self._faults = faults


def _faults(positions: Sequence[PartitionPosition]) -> dict[str, str]:
    """What does not work, and why."""
    if not positions:
        return {}
    faults: dict[str, NoskewError | None] = {
        "online store": positions[0].fault,
        "archive": positions[0].archive_fault,
    }
    texts = {what: str(error) for what, error in faults.items() if error is not None}
    if "online store" in texts and positions[0].waiting:
        texts["online store"] += f" ({positions[0].waiting:,} rows wait for it)"
    return texts


def _consumed(position: PartitionPosition) -> int:
    return max(progress.consumed for progress in position.progress.values())
