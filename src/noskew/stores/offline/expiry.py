"""Which snapshots to forget, and forgetting them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import pairwise

from pyiceberg.table.snapshots import Snapshot

from noskew.stores.offline.catalog import TableState
from noskew.stores.offline.files import list_files
from noskew.stores.offline.sweep import sweep


def expire(load: Callable[[], TableState], *, before: int, keep: Collection[int]) -> int:
    """Forget snapshots that were replaced ``before`` (µs), and remove what only they needed.

    Gives their number; a table without any is left alone. Raises ConflictError if others
    committed again and again meanwhile.
    """
    state = load()
    # Chosen once: each commit of a sweep makes a snapshot, too, and so replaces the latest.
    chosen = _replaced(state, before, keep)
    if not chosen:
        return 0
    return sweep(load, list_files(state, state.table.location()), chosen)


def _replaced(state: TableState, before: int, keep: Collection[int]) -> list[Snapshot]:
    """Snapshots whose successor was committed before a time, oldest first."""
    in_order = sorted(state.table.snapshots(), key=lambda s: s.sequence_number or 0)
    pinned = frozenset(keep)
    return [
        snapshot
        for snapshot, successor in pairwise(in_order)
        if successor.timestamp_ms * 1_000 < before and snapshot.snapshot_id not in pinned
    ]
