"""Spans of events: those of some entities between two times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.arrays import Index
from noskew.kernel.as_of import upper_bound
from noskew.kernel.jit import kernel


@kernel
def spans(
    times: Index, offsets: Index, entity: Index, least: int, most: int
) -> tuple[Index, Index]:
    """Where the events of some entities with ``least <= time <= most`` start and end.

    Parameters
    ----------
    times
        int64, shape (n,): event times, ascending within each entity.
    offsets
        int64, shape (entities + 1,): entity e has the events ``offsets[e]:offsets[e + 1]``.
    entity
        int64, shape (rows,), equal ones next to each other: they make one span.

    Returns
    -------
    int64, shape (distinct entities,), twice: the first event of each span, and the one after it.
    """
    starts, ends = np.empty(len(entity), np.int64), np.empty(len(entity), np.int64)
    n = 0
    for i in range(len(entity)):
        if i and entity[i] == entity[i - 1]:
            continue
        lo, hi = offsets[entity[i]], offsets[entity[i] + 1]
        starts[n] = upper_bound(times, lo, hi, least - 1)
        ends[n] = upper_bound(times, starts[n], hi, most)
        n += 1
    return starts[:n], ends[:n]


@kernel
def mark(starts: Index, ends: Index, out: NDArray[np.bool_]) -> None:
    """Set ``out`` (shape (n,)) within each span."""
    for i in range(len(starts)):
        out[starts[i] : ends[i]] = True
