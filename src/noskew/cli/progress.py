"""Progress bars with rows/s and time left on a terminal; elsewhere one line at the end."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from noskew.cli.console import err


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:>9,.0f} rows/s" if speed else "", style="cyan")


class _Count(ProgressColumn):
    """Rows done, of how many."""

    def render(self, task: Task) -> Text:
        total = f" / {task.total:,.0f}" if task.total is not None else ""
        return Text(f"{task.completed:,.0f}{total}", style="dim")


class Bars:
    """A bar for each name; call it with a name and how many more rows are done.

    ``totals``: names and their rows, None where not known. Bars go to stderr, and only to a
    terminal: elsewhere nothing is written until :meth:`summary`. ``transient`` ones leave no trace.
    """

    def __init__(
        self, totals: Mapping[str, int | None], *, console: Console = err, transient: bool = False
    ) -> None:
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            _Count(),
            _Rate(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            transient=transient,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        for name, total in totals.items():
            self._tasks[name] = self._progress.add_task(name, total=total, start=False)
        self._console = console
        self._started = perf_counter()
        self.rows = 0

    def __call__(self, name: str, rows: int) -> None:
        self.rows += rows
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = self._progress.add_task(name, total=None, start=False)
        self._progress.start_task(task)
        self._progress.advance(task, rows)

    @property
    def seconds(self) -> float:
        """Since the bars were made."""
        return perf_counter() - self._started

    def summary(self, what: str) -> None:
        """One line: what was done, how long it took, how fast."""
        rate = f", {self.rows / self.seconds:,.0f} rows/s" if self.rows else ""
        self._console.print(f"{what} in {self.seconds:.1f} s{rate}")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            for task in self._progress.tasks:
                # A bar that nothing was reported for is done all the same.
                self._progress.update(task.id, total=task.completed, completed=task.completed)
        self._progress.stop()
