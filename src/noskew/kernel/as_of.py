"""Point in time: the last event of an entity at or before a time."""

from __future__ import annotations

import numpy as np

from noskew.kernel.arrays import Index
from noskew.kernel.jit import inline, kernel


@inline
def upper_bound(times: Index, lo: int, hi: int, t: int) -> int:
    """The first position in ``lo:hi`` whose time is after t (``hi`` if none); times ascend."""
    while lo < hi:
        middle = (lo + hi) // 2
        if times[middle] <= t:
            lo = middle + 1
        else:
            hi = middle
    return lo


@kernel
def upper_bounds(times: Index, lo: Index, hi: Index, t: Index) -> Index:
    """:func:`upper_bound` for each row. Shapes: times (n,), the others (rows,)."""
    out = np.empty(len(t), np.int64)
    for i in range(len(t)):
        out[i] = upper_bound(times, lo[i], hi[i], t[i])
    return out


@kernel
def last_known(
    since: Index, until: Index, least_since: Index, lo: Index, hi: Index, t: Index
) -> Index:
    """The last position in ``lo:hi`` with since ≤ t < until, −1 if none.

    ``least_since[i]`` is the least of ``since`` of the entity's events up to i; where even that
    is after t, nothing further back can be known.
    """
    out = np.full(len(t), -1, np.int64)
    for i in range(len(t)):
        k = hi[i] - 1
        while k >= lo[i] and least_since[k] <= t[i]:
            if since[k] <= t[i] < until[k]:
                out[i] = k
                break
            k -= 1
    return out


@kernel
def running_least(times: Index, offsets: Index) -> Index:
    """The least time so far within each entity."""
    out = times.copy()
    for e in range(len(offsets) - 1):
        for i in range(offsets[e] + 1, offsets[e + 1]):
            out[i] = min(out[i], out[i - 1])
    return out


@kernel
def split_known(
    since: Index, until: Index, lo: Index, hi: Index, t: Index
) -> tuple[Index, Index, Index]:
    """Split each range ``lo:hi`` into a head that is known by t and the known rest.

    Known are the events with since ≤ t < until. Returns (middle, offsets, index): all of
    ``lo[i]:middle[i]`` is known by ``t[i]``; the known events of ``middle[i]:hi[i]`` are
    ``index[offsets[i]:offsets[i + 1]]``.
    """
    n = len(t)
    middle, offsets = np.empty(n, np.int64), np.zeros(n + 1, np.int64)
    for i in range(n):
        k = lo[i]
        while k < hi[i] and since[k] <= t[i] < until[k]:
            k += 1
        middle[i] = k
        count = 0
        while k < hi[i]:
            count += since[k] <= t[i] < until[k]
            k += 1
        offsets[i + 1] = offsets[i] + count
    index = np.empty(offsets[n], np.int64)
    for i in range(n):
        at = offsets[i]
        for k in range(middle[i], hi[i]):
            if since[k] <= t[i] < until[k]:
                index[at] = k
                at += 1
    return middle, offsets, index
