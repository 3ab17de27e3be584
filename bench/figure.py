"""One figure over several runs: its median, its range, and what the median says of a target."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.result import Result, Target, shown_range


@dataclass(frozen=True)
class Figure:
    """What some runs measured of one name, oldest first; at least one."""

    results: Sequence[Result]

    @property
    def newest(self) -> Result:
        return self.results[-1]

    def value(self) -> str:
        """Median and range of the value."""
        return self._shown(lambda result: result.value, self.newest.unit)

    def limit(self) -> str:
        """Median and range of what the bare library took."""
        return self._shown(lambda result: result.limit, self.newest.unit)

    def ratio(self) -> str:
        """Median and range of the ratios of each run, whose sides took turns."""
        return self._shown(lambda result: result.ratio, "×")

    def peer(self, name: str) -> str:
        """Median and range of a peer's value."""
        return self._shown(lambda result: result.peers.get(name), self.newest.unit)

    def met(self, target: Target) -> bool | None:
        """Whether the median is within a bound; None if no run measured it."""
        figures = self._measured(target.figure)
        return target.holds(statistics.median(figures)) if figures else None

    def _shown(self, of: Callable[[Result], float | None], unit: str) -> str:
        figures = self._measured(of)
        return shown_range(figures, unit) if figures else "–"

    def _measured(self, of: Callable[[Result], float | None]) -> list[float]:
        return [figure for figure in map(of, self.results) if figure is not None]
