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

from noskew.kernel.jit import inline

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
