"""How many events sources have, looked up when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from noskew.addresses import events_table
from noskew.definitions.project import Project
from noskew.stores.offline.base import OfflineStore


@dataclass(frozen=True)
class SourceSizes:
    """How many events sources have: as many as the largest table of their views.

    What a plan asks of it is looked up then, since a project may have thousands of tables.
    ``open_offline``: called before the first look, so that a plan without a backfill opens no
    offline store.
    """

    open_offline: Callable[[], OfflineStore]
    project: Project

    def get(self, source: str, /) -> int | None:
        """Events of a source by name; None where no view of it has a table."""
        names = [n for n in self.project.views if self._data(n)["source"] == source]
        tables = {events_table(self.project.views[n].log_hash) for n in names} & self._tables
        return max((self.open_offline().info(t).rows for t in tables), default=None)

    def _data(self, view: str) -> Mapping[str, Any]:
        return self.project.data("views", view)

    @cached_property
    def _tables(self) -> frozenset[str]:
        return frozenset(self.open_offline().tables())
