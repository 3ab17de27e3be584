"""The order of events: by entity, and of each entity by event time, known time and sequence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noskew.kernel.jit import kernel


@kernel
def sorted_within(
    starts: NDArray[np.int64],
    event_time: NDArray[np.int64],
    known_time: NDArray[np.int64],
    sequence: NDArray[np.int64],
) -> bool:
    """Whether every run is in (event time, known time, sequence) order."""
    n = len(event_time)
    for r in range(len(starts)):
        end = starts[r + 1] if r + 1 < len(starts) else n
        for i in range(starts[r] + 1, end):
            if _before(i, i - 1, event_time, known_time, sequence):
                return False
    return True


@kernel
def _before(
    a: int,
    b: int,
    event_time: NDArray[np.int64],
    known_time: NDArray[np.int64],
    sequence: NDArray[np.int64],
) -> bool:
    if event_time[a] != event_time[b]:
        return event_time[a] < event_time[b]
    if known_time[a] != known_time[b]:
        return known_time[a] < known_time[b]
    return sequence[a] < sequence[b]


@kernel
def sort_events(
    entity: NDArray[np.int64],
    event_time: NDArray[np.int64],
    known_time: NDArray[np.int64],
    sequence: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The order by (entity, event time, known time, sequence): int64, shape (n,).

    Any int64 may stand for an event time, such as an id; ``entity`` counts from 0.

    A counting sort by entity, which keeps runs together, then a merge sort of each entity's
    events that is linear where they are sorted already.
    """
    n = len(entity)
    entities = 0
    for i in range(n):
        entities = max(entities, entity[i] + 1)
    ends = np.zeros(entities + 1, np.int64)
    for i in range(n):
        ends[entity[i] + 1] += 1
    for e in range(entities):
        ends[e + 1] += ends[e]
    at = ends[:-1].copy()
    order = np.empty(n, np.int64)
    for i in range(n):
        order[at[entity[i]]] = i
        at[entity[i]] += 1
    spare = np.empty(n, np.int64)
    for e in range(entities):
        _merge_sort(order, spare, ends[e], ends[e + 1], event_time, known_time, sequence)
    return order


@kernel
def _merge_sort(
    order: NDArray[np.int64],
    spare: NDArray[np.int64],
    start: int,
    end: int,
    event_time: NDArray[np.int64],
    known_time: NDArray[np.int64],
    sequence: NDArray[np.int64],
) -> None:
    width = 1
    while width < end - start:
        for low in range(start, end, 2 * width):
            middle, high = min(low + width, end), min(low + 2 * width, end)
            if middle >= high or not _before(
                order[middle], order[middle - 1], event_time, known_time, sequence
            ):
                continue
            a, b = low, middle
            for k in range(low, high):
                if b >= high or (
                    a < middle and not _before(order[b], order[a], event_time, known_time, sequence)
                ):
                    spare[k] = order[a]
                    a += 1
                else:
                    spare[k] = order[b]
                    b += 1
            for k in range(low, high):
                order[k] = spare[k]
        width *= 2
