"""Bulk: the rows of many entities from all of their events at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.events import Events
from noskew.kernel.keys import encode_columns
from noskew.kernel.ragged import Ragged
from noskew.kernel.rows.codec import RowLayout, pack_rows
from noskew.kernel.state import fold

#: Events that are folded at once: few enough for their copies to stay in a few megabytes.
PART_EVENTS = 16_384

#: For the entities of some events their horizon, one or one each, and the versions of their rows.
Stamp = Callable[[Events], tuple[int | NDArray[np.int64], bytes | NDArray[np.void]]]


def bulk_rows(
    layout: RowLayout, events: Events, prefix: bytes, stamp: Stamp
) -> Iterator[tuple[Ragged, Ragged]]:
    """Keys, after ``prefix``, and rows of the entities of ``events``, some at a time.

    All events of an entity are there that count, and were known by its horizon. An entity without
    any has a row, too, which says so.
    """
    assert events.until is None, "which events count must be chosen by Events.known_at"
    for part in _parts(events):
        names = part.keys.column_names
        columns = [part.keys.column(name).combine_chunks() for name in names]
        keys, _ = encode_columns(columns, prefix)
        horizon, version = stamp(part)
        yield keys, pack_rows(layout, fold(layout.plan, part, horizon), version)


def _parts(events: Events) -> Iterator[Events]:
    """The events of about PART_EVENTS, and of whole entities, at a time; nothing is copied."""
    offsets = events.offsets
    cuts = np.searchsorted(offsets, np.arange(0, max(1, len(events)), PART_EVENTS))
    for a, b in pairwise(np.unique(np.append(cuts, len(offsets) - 1)).tolist()):
        yield events.between(a, b)
