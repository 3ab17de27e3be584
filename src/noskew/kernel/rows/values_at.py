"""Asking packed rows at a time: what a few rows say must not cost the building of states.

Rows whose aggregates only add up are asked in one pass over their bytes
(:mod:`noskew.kernel.rows.window_sums`). Others, and those with pending events, are unpacked into a
:class:`~noskew.kernel.state.ViewState`. Both give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.rows.codec import (
    HAS_PENDING,
    RowLayout,
    known_times,
    open_rows,
    read_newest,
    unpack_rows,
)
from noskew.kernel.state import Newest, finalise, latest_values, settle


@dataclass(frozen=True, slots=True)
class ValuesAt:
    """What rows say: the time each was asked at, its newest event, every feature's value."""

    t: NDArray[np.int64]
    newest: Newest
    values: dict[str, pa.Array]


def values_at(
    layout: RowLayout, rows: Sequence[bytes | None], t: int | NDArray[np.int64]
) -> ValuesAt:
    """What rows say at ``t`` (one time, or one each), or at their own known time if that is later.

    When the clock that gave ``t`` is behind, a row holds facts that ``t`` could not know, and
    what it says is right as of the time when it was made. Raises CorruptDataError as
    :func:`~noskew.kernel.rows.codec.unpack_rows` does.
    """
    times = np.maximum(known_times(rows), t)
    plan, sums = layout.plan, layout.sums
    if sums is not None:
        opened = open_rows(layout, rows)
        if not (opened.head["flags"] & HAS_PENDING).any():
            newest = read_newest(layout, opened)
            values = latest_values(plan, newest, times) | sums.values(opened.reader, times)
            return ValuesAt(times, newest, {name: values[name] for name in plan.names})
    # Pending events whose time has come are part of values, ages and event times alike.
    state = settle(plan, unpack_rows(layout, rows), times)
    return ValuesAt(times, state.newest, finalise(plan, state, times))
