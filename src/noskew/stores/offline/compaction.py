"""Fewer, larger files: each bucket of several files becomes one sorted file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
from pyiceberg.table.snapshots import Snapshot

from noskew.stores.offline.append import commit
from noskew.stores.offline.base import Progress
from noskew.stores.offline.catalog import NEXT_SEQUENCE, TableState
from noskew.stores.offline.faults import reading
from noskew.stores.offline.files import Attempt, list_files, referenced_files, remove_files
from noskew.stores.offline.parquet import read_file
from noskew.stores.offline.plan import PlannedFile, ReadPlan
from noskew.stores.offline.sorting import sorted_run

#: Buckets rewritten by one commit. It bounds what a kill or a conflict throws away, and the
#: depth of the expression that pyiceberg builds from the partitions of replaced files.
_BUCKETS_PER_COMMIT = 64
#: The directory of compacted files. No token has a slash, so no append can take it for its own.
_WORK = "compact/"


def compact(
    load: Callable[[], TableState],
    plan_of: Callable[[TableState, Snapshot | None], ReadPlan],
    progress: Progress | None,
) -> int:
    """Rewrite the buckets that have several files, then remove files that nothing refers to.

    Gives the number of files replaced. Raises ConflictError if somebody else commits
    meanwhile; what was rewritten before stays so.
    """
    state = load()
    # Listed before our commits: whoever wrote these without having committed them is based on a
    # snapshot from before, and must fail once a commit of ours is in. So they are garbage then.
    present = list_files(state, state.table.location())
    plan = plan_of(state, state.table.current_snapshot())
    work = [bucket for bucket, files in sorted(plan.buckets.items()) if len(files) > 1]
    replaced = 0
    for start in range(0, len(work), _BUCKETS_PER_COMMIT):
        group = {
            bucket: plan.buckets[bucket] for bucket in work[start : start + _BUCKETS_PER_COMMIT]
        }
        replaced += _rewrite(state, group, progress)
        state = load()
    garbage = set(present) - _referenced(state)
    if garbage:
        if not work:
            commit(state, Attempt(state, _WORK), [], [], _summary(state))
            garbage -= _referenced(load())
        remove_files(state, sorted(garbage))
    return replaced


def _rewrite(
    state: TableState, group: dict[int, tuple[PlannedFile, ...]], progress: Progress | None
) -> int:
    attempt = Attempt(state, _WORK)
    replaced = [file.entry for files in group.values() for file in files]
    try:
        added = attempt.write(sorted(group), lambda bucket: _merged(state, group[bucket]), progress)
    except BaseException:
        attempt.discard()
        raise
    commit(state, attempt, added, replaced, _summary(state))
    return len(replaced)


def _merged(state: TableState, files: Sequence[PlannedFile]) -> pa.Table:
    names = state.stored.names
    keys = state.spec.keys
    runs = [read_file(state.io, file, names, None, keys) for file in files]
    rows = pa.concat_tables([run for run in runs if run is not None])
    # Sequences are unique, so the result is the same whatever order the files come in.
    return sorted_run(rows, keys, arrival=False).cast(state.stored)


def _referenced(state: TableState) -> set[str]:
    with reading(state.table.metadata_location):
        return set(referenced_files(state))


def _summary(state: TableState) -> dict[str, str]:
    return {NEXT_SEQUENCE: str(state.next_sequence)}
