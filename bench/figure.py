"""One figure over several runs: its median, its range, and what the median says of a target."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import record
from bench.record import Run
from bench.result import Result, shown_range
from bench.targets import TARGETS


def of_runs(runs: Sequence[Run]) -> dict[str, Figure]:
    """The figures of runs by name, each over its last measurements."""
    return {name: Figure(results) for name, results in record.by_figure(runs).items()}


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

    def met(self) -> bool | None:
        """Whether the median is within every bound that it has; None if there is none to judge."""
        verdicts = [
            target.holds(statistics.median(figures))
            for target in TARGETS.get(self.newest.name, ())
            if (figures := self._measured(target.figure))
        ]
        return all(verdicts) if verdicts else None

    def _shown(self, of: Callable[[Result], float | None], unit: str) -> str:
        figures = self._measured(of)
        return shown_range(figures, unit) if figures else "–"

    def _measured(self, of: Callable[[Result], float | None]) -> list[float]:
        return [figure for figure in map(of, self.results) if figure is not None]
