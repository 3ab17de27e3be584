"""Which offline table holds the events of a view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from noskew.definitions.project import Project
from noskew.definitions.view import FeatureView
from noskew.kernel.transforms.pipeline import events_schema
from noskew.stores.offline.base import OfflineStore, TableSpec


def table_name(view: FeatureView) -> str:
    """``log_`` and 24 digits of the log hash: views that share their events share the table."""
    return f"log_{view.log_hash[:24]}"


def table_spec(view: FeatureView, buckets: int) -> TableSpec:
    """The table's columns: those of the view, without the event time if it is one of them."""
    schema: pa.Schema = events_schema(view)
    return TableSpec(table_name(view), schema, tuple(view.entity.keys), buckets)


def has_table(offline: OfflineStore, view: FeatureView) -> bool:
    """Whether anything was ever ingested for the view."""
    return offline.has(table_name(view))


def events_of(offline: OfflineStore, view: FeatureView) -> int:
    """Events in the view's table; 0 if there is none."""
    return offline.info(table_name(view)).rows if has_table(offline, view) else 0


@dataclass(frozen=True)
class SourceSizes:
    """How many events sources have: as many as the largest table of their views.

    What a plan asks of it is looked up then, since a project may have thousands of tables.
    """

    offline: OfflineStore
    project: Project

    def get(self, source: str, /) -> int | None:
        """Events of a source by name; None where no view of it has a table."""
        names = [n for n in self.project.views if self._data(n)["source"] == source]
        tables = {table_name(self.project.views[n]) for n in names} & self._tables
        return max((self.offline.info(t).rows for t in tables), default=None)

    def _data(self, view: str) -> Mapping[str, Any]:
        return self.project.data("views", view)

    @cached_property
    def _tables(self) -> frozenset[str]:
        return frozenset(self.offline.tables())


def one_per_log(views: Iterable[FeatureView]) -> list[FeatureView]:
    """One view for each offline table: those that share their events share the table."""
    found: dict[str, FeatureView] = {}
    for view in views:
        found.setdefault(view.log_hash, view)
    return list(found.values())
