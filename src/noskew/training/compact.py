"""Compact: fewer, larger files in the offline table of a view."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from noskew.definitions.view import FeatureView
from noskew.intake.tables import has_table, one_per_log, table_name
from noskew.stores.offline.base import OfflineStore
from noskew.training.progress import ViewProgress, of_one


@dataclass(frozen=True, slots=True)
class Compacted:
    """What compacting a view's offline table did."""

    view: str
    rows: int
    files_before: int
    files_after: int


def compact_all(
    views: Iterable[FeatureView], offline: OfflineStore, progress: ViewProgress | None = None
) -> list[Compacted]:
    """Make one sorted file of each bucket; values and earlier snapshots stay the same.

    Views that share a table are one, under the name of the first; those without one are left
    out. ``progress`` is told of rows written again: of buckets that had several files. Raises
    ConflictError if somebody ingests meanwhile; what was done by then stays done.
    """
    reports = []
    for view in one_per_log(views):
        if has_table(offline, view):
            table = table_name(view)
            before = offline.info(table).files
            offline.compact(table, progress=of_one(progress, view.name))
            after = offline.info(table)
            reports.append(Compacted(view.name, after.rows, before, after.files))
    return reports
