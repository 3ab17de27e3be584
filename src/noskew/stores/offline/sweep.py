"""Removing files that nothing refers to, while others write.

A file is written before the commit that names it, so one that nothing refers to may be about to
be committed. What tells them apart is the number of sweeps, a property of the table:

1. Files are listed.
2. A commit raises the number.
3. Of what was listed, what no snapshot refers to now is removed.

Whoever wrote a file before 1 looked at the table before 2, too. Their commit requires that the
snapshot they looked at is still the latest, which 2 has changed; and when they look at the table
again, they see the number and write their files anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pyiceberg.table.snapshots import Snapshot

from noskew.errors import ConflictError
from noskew.stores.offline import tokens
from noskew.stores.offline.catalog import NEXT_SEQUENCE, SWEEPS, TableState, commit_of
from noskew.stores.offline.commit import TRIES, commit
from noskew.stores.offline.faults import reading
from noskew.stores.offline.files import referenced_files, remove_files

#: Snapshots forgotten by one commit: what pyiceberg takes for it grows with their number times
#: that of all.
_MOST = 1_000


def sweep(
    load: Callable[[], TableState], present: Iterable[str], forgotten: Sequence[Snapshot] = ()
) -> int:
    """Forget snapshots, then remove of ``present``, listed before, what none refers to.

    Tokens are not forgotten. Gives how many snapshots were: those that somebody else forgot
    meanwhile are left out. Raises ConflictError if others committed again and again meanwhile;
    then no file is removed.
    """
    count = _raise_number(load, forgotten[:_MOST])
    for start in range(_MOST, len(forgotten), _MOST):
        count += _raise_number(load, forgotten[start : start + _MOST])
    state = load()
    remove_files(state, sorted(unreferenced(state, present)))
    return count


def unreferenced(state: TableState, files: Iterable[str]) -> set[str]:
    """Those of ``files`` that no snapshot of the table refers to."""
    with reading(state.table.metadata_location):
        return set(files).difference(referenced_files(state))


def _raise_number(load: Callable[[], TableState], forgotten: Sequence[Snapshot]) -> int:
    for _ in range(TRIES - 1):
        try:
            return _commit_sweep(load(), forgotten)
        except ConflictError:
            continue
    return _commit_sweep(load(), forgotten)


def _commit_sweep(state: TableState, forgotten: Sequence[Snapshot]) -> int:
    there = {snapshot.snapshot_id for snapshot in state.table.snapshots()}
    gone = [snapshot for snapshot in forgotten if snapshot.snapshot_id in there]
    properties = {SWEEPS: str(int(state.sweeps) + 1)}
    commits = [c for snapshot in gone if (c := commit_of(snapshot)) and c.token]
    if commits:
        properties |= tokens.to_properties(state.expired_tokens, commits)
    commit(
        state,
        None,
        summary={NEXT_SEQUENCE: str(state.next_sequence)},
        properties=properties,
        forgotten=[snapshot.snapshot_id for snapshot in gone],
    )
    return len(gone)
