"""Which offline table holds the events of a view."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from noskew.addresses import events_table
from noskew.definitions.view import FeatureView
from noskew.intake.ingested import FIELDS
from noskew.kernel.transforms.pipeline import events_schema
from noskew.stores.offline.base import OfflineStore, TableSpec


def table_name(view: FeatureView) -> str:
    """Views that share their events share the table."""
    return events_table(view.log_hash)


def table_spec(view: FeatureView, buckets: int) -> TableSpec:
    """The table's columns: those of the view, without the event time if it is one of them."""
    schema = pa.schema([*events_schema(view), *FIELDS])
    return TableSpec(table_name(view), schema, tuple(view.entity.keys), buckets)


def has_table(offline: OfflineStore, view: FeatureView) -> bool:
    """Whether anything was ever ingested for the view."""
    return offline.has(table_name(view))


def one_per_log(views: Iterable[FeatureView]) -> list[FeatureView]:
    """One view for each offline table: those that share their events share the table."""
    views_by_log: dict[str, FeatureView] = {}
    for view in views:
        views_by_log.setdefault(view.log_hash, view)
    return list(views_by_log.values())
