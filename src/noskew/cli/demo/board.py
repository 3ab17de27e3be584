"""The board of the airports: their features while a stream changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from noskew.cli.console import out
from noskew.cli.demo.folding import Folding, Lag
from noskew.cli.render.listing import minute
from noskew.cli.render.styled_table import new_table
from noskew.feature_store import FeatureStore

SERVICE = "delay_board"
AIRPORTS = ("EWR", "JFK", "LGA")
#: Features, and what they are called on the board.
_SHOWN = {
    "departures_1h": "left, 1 h",
    "departure_delay_1h": "late by, 1 h",
    "departure_delay_6h": "late by, 6 h",
    "arrival_delay_1h": "arrived late by, 1 h",
    "late_arrivals_6h": "arrived late, 6 h",
}
#: How often it is drawn, in seconds.
_REDRAW_S = 0.1


class Board:
    """Reads the airports' features and shows them: over and over on a terminal.

    Elsewhere it shows only what it is told to by :meth:`note`, as one line.
    """

    def __init__(self, store: FeatureStore, folding: Folding, sources: Sequence[str]) -> None:
        self._store, self._folding, self._sources = store, folding, sources
        self._live = Live(console=out, auto_refresh=False, transient=True)
        self._started, self._drawn = perf_counter(), 0.0
        self._before: dict[str, list[Any]] = {}
        self._is_live = out.is_terminal

    def draw(self) -> None:
        """Show everything that was pushed, unless that was done a moment ago."""
        now = perf_counter()
        if self._is_live and now - self._drawn >= _REDRAW_S:
            lags = {name: self._folding.lag(name) for name in self._sources}
            self._folding.settle()
            self._drawn = perf_counter()
            streams = self._streams(lags, self._drawn - now)
            self._live.update(Group(self._airports(), streams), refresh=True)

    def note(self, what: str) -> None:
        """One line that stays: the time, what happens, and a feature as it is now."""
        delay = self._read()["departure_delay_6h"]
        shown = ", ".join(f"{a} {_text(d)}" for a, d in zip(AIRPORTS, delay, strict=True))
        out.print(f"  [b]{minute(self._store.clock.now())}[/b]  {what}; late by, 6 h: {shown} min")

    def __enter__(self) -> Board:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._is_live:
            self._live.stop()

    def _read(self) -> dict[str, list[Any]]:
        return self._store.get_online_features(SERVICE, {"origin": list(AIRPORTS)}).to_dict()

    def _airports(self) -> Table:
        """Their features as they are now."""
        values = self._read()
        columns = tuple(_SHOWN.values())
        table = new_table(minute(self._store.clock.now()), "airport", *columns, numbers=columns)
        for i, airport in enumerate(AIRPORTS):
            cells = [_cell(values[f][i], self._before.get(f, values[f])[i]) for f in _SHOWN]
            table.add_row(airport, *cells)
        self._before = values
        return table

    def _streams(self, lags: Mapping[str, Lag], waited_s: float) -> Table:
        """How fast each stream is, what waited to be read, and how soon it could be."""
        numbers = ("rows", "rows/s", "lag", "readable after")
        table = new_table("", "stream", *numbers, numbers=numbers)
        seconds = perf_counter() - self._started
        for name, lag in lags.items():
            table.add_row(
                name,
                f"{lag.rows:,}",
                f"{lag.rows / seconds:,.0f}",
                f"{lag.messages:,}",
                f"{waited_s * 1e3:,.0f} ms",
            )
        return table


def _cell(value: Any, before: Any) -> Text:
    """A value; red where it has grown, green where it has shrunk."""
    if value is None or before is None or value == before:
        return Text(_text(value))
    return Text(_text(value), "red" if value > before else "green")


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:+.1f}" if isinstance(value, float) else f"{value:,}"
