"""What the chapters of the demo share: the project, how they speak, and how long each took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from rich.table import Table

from noskew.cli.console import out
from noskew.clock import FixedClock
from noskew.feature_store import FeatureStore


@dataclass
class Stage:
    """The project of a demo; ``clock`` stands still until a chapter moves it."""

    root: Path
    store: FeatureStore
    clock: FixedClock
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """A titled part of the tour, timed."""
        out.print()
        out.rule(f"[b]{len(self.seconds) + 1}. {title}[/b]", align="left", style="cyan")
        started = perf_counter()
        yield
        self.seconds[title] = perf_counter() - started


def say(text: str) -> None:
    """A sentence or two for the reader."""
    out.print(text)


def show(table: Table) -> None:
    """A table, set apart."""
    out.print()
    out.print(table)
