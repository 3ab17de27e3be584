"""Warn of facts that were loaded only after the times at which they are asked for."""

from __future__ import annotations

import warnings

import pyarrow as pa
import pyarrow.compute as pc

from noskew.clock import to_text
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.errors import HindsightWarning
from noskew.intake.tables import has_table, table_name
from noskew.kernel.conform import conform_column
from noskew.kernel.events import KNOWN_TIME
from noskew.stores.offline.base import Filter, OfflineStore
from noskew.types import DType

#: From here up to who called the store: this function, TrainingSets.make, FeatureStore.
_CALLER = 4


def warn_of_hindsight(
    service: FeatureService, rows: pa.Table, event_time: str, offline: OfflineStore
) -> None:
    """Warn if a source without ``created`` knew nothing yet at the earliest row's time.

    Such a source counts as known when it was loaded, so with ``known_at="row"`` every row from
    before the first load has nulls: honest, and seldom what was meant. ``rows`` are those that
    were asked for, their event time not null.
    """
    if len(rows) == 0:
        return
    times = conform_column(rows.column(event_time), DType("timestamp"), "rows")
    earliest = int(pc.min(times).cast(pa.int64()).as_py())
    late = [v for v in service.views if _is_hindsight(v, earliest, offline)]
    if late:
        sources = ", ".join(sorted({repr(v.source.name) for v in late}))
        warnings.warn(
            f'known_at="row" gives nulls to rows from before the data was loaded: of {sources} '
            f"nothing was known at {to_text(earliest)}, the earliest time asked for, since a "
            f"source without a created column is known when it is loaded. Give the source "
            f"created='…', the column that says when an event became known, or leave known_at "
            f"out, for what was true then as far as it is known today",
            HindsightWarning,
            stacklevel=_CALLER,
        )


def _is_hindsight(view: FeatureView, t: int, offline: OfflineStore) -> bool:
    """Whether the view has facts, known by their load alone, and none of them by ``t``."""
    if view.source.created is not None or not has_table(offline, view):
        return False
    info = offline.info(table_name(view))
    known = Filter(known_to=t)
    # The statistics of files answer for those that were loaded later; the others are few reads.
    return info.rows > 0 and not any(
        len(offline.read(info.spec.name, [KNOWN_TIME], bucket=bucket, where=known))
        for bucket in range(info.spec.buckets)
    )
