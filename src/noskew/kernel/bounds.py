"""The one boundary of every window, in every path (SPEC §4). Everything is left-open, right-closed.

::

    hop h      k·h            (k+1)·h          (k+2)·h
    ───────────┤───── tile k ────├──── tile k+1 ───├──────────
               (      events     ]

    window W at t:   (⌊(t−W)/h⌋·h, t]
                     └ window_start ┘

The functions take Python integers and NumPy int64 arrays alike; ``//`` is floor division in
both. ``*_at`` are the same functions compiled, for use inside kernels.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.jit import inline, kernel

T = TypeVar("T", int, NDArray[np.int64])


def window_start(t: T, window: int, hop: int) -> T:
    """The open left end of the window: events at exactly this time do not count."""
    return (t - window) // hop * hop


def tile_of(event_time: T, hop: int) -> T:
    """The tile that holds an event: k with ``k·h < event_time ≤ (k+1)·h``."""
    return (event_time - 1) // hop


def first_tile(t: T, window: int, hop: int) -> T:
    """The first tile of a window: the tile that starts at :func:`window_start`."""
    return (t - window) // hop


window_start_at = inline(window_start)
tile_of_at = inline(tile_of)


@kernel
def window_starts(
    times: NDArray[np.int64],
    lo: NDArray[np.int64],
    hi: NDArray[np.int64],
    t: NDArray[np.int64],
    windows: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The first position in ``lo:hi`` inside each of several windows at ``t``.

    Parameters
    ----------
    times
        int64, shape (n,): event times, ascending within each range.
    lo, hi, t
        int64, shape (rows,); ``times[lo:hi]`` are the row's events up to ``t``.
    windows
        int64, shape (k, 2): width and hop of each, best in ascending order of width.

    Returns
    -------
    int64, shape (k, rows): ``hi`` where a window has no events. All windows of a row are looked
    for together, outwards from the row's time, so that near ones are found in a step or two.
    """
    out = np.empty((len(windows), len(t)), np.int64)
    for i in range(len(t)):
        end, reached = hi[i], t[i]
        for w in range(len(windows)):
            edge = window_start_at(t[i], windows[w, 0], windows[w, 1])
            if edge > reached:  # inside the window before, which has a longer hop
                end = hi[i]
            end = _start_before(times, lo[i], end, edge)
            out[w, i], reached = end, edge
    return out


@inline
def _start_before(times: NDArray[np.int64], lo: int, hi: int, edge: int) -> int:
    """The first position in ``lo:hi`` after ``edge``, by steps back from hi that grow."""
    step = 1
    while hi - step >= lo:
        if times[hi - step] <= edge:
            lo = hi - step + 1
            break
        hi -= step
        step *= 8
    while lo < hi:
        middle = (lo + hi) // 2
        if times[middle] <= edge:
            lo = middle + 1
        else:
            hi = middle
    return lo
