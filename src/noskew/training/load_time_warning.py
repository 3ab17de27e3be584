"""Warn of facts that were loaded only after the times at which they are asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable

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


def warn_of_load_time(
    service: FeatureService, earliest: Callable[[], int | None], offline: OfflineStore
) -> None:
    """Warn if a source without ``created`` knew nothing yet at the earliest row's time.

    Such a source counts as known when it was loaded, so with ``known_at="row"`` every row from
    before the first load has nulls: honest, and seldom what was meant. ``earliest`` tells that
    time (None: there are no rows); it is only called where it matters.
    """
    doubtful = [v for v in service.views if _knows_by_load(v, offline)]
    t = earliest() if doubtful else None
    late = [] if t is None else [v for v in doubtful if _is_hindsight(v, t, offline)]
    if t is not None and late:
        sources = ", ".join(sorted({repr(v.source.name) for v in late}))
        warnings.warn(
            f'known_at="row" gives nulls to rows from before the data was loaded: of {sources} '
            f"nothing was known at {to_text(t)}, the earliest time asked for, since a "
            f"source without a created column is known when it is loaded. Give the source "
            f"created='…', the column that says when an event became known, or leave known_at "
            f"out, for what was true then as far as it is known today",
            HindsightWarning,
            stacklevel=_CALLER,
        )


def earliest(rows: pa.Table, event_time: str) -> int | None:
    """The least time of rows, in µs; None if there is none."""
    times = conform_column(rows.column(event_time), DType("timestamp"), "rows")
    least: int | None = pc.min(times).cast(pa.int64()).as_py()
    return least


def _knows_by_load(view: FeatureView, offline: OfflineStore) -> bool:
    """Whether the view has facts, known by their load alone."""
    if view.source.created is not None or not has_table(offline, view):
        return False
    return offline.info(table_name(view)).rows > 0


def _is_hindsight(view: FeatureView, t: int, offline: OfflineStore) -> bool:
    """Whether the view has no facts that were known by ``t``."""
    info = offline.info(table_name(view))
    known = Filter(known_to=t)
    # The statistics of files answer for those that were loaded later; the others are few reads.
    return not any(
        len(offline.read(info.spec.name, [KNOWN_TIME], bucket=bucket, where=known))
        for bucket in range(info.spec.buckets)
    )
