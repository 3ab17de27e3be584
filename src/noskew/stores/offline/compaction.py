"""Fewer, larger files: several files of a bucket become one sorted file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
from pyiceberg.table.snapshots import Snapshot

from noskew.errors import ConflictError
from noskew.stores.offline.base import RowProgress
from noskew.stores.offline.catalog import NEXT_SEQUENCE, TableState
from noskew.stores.offline.columns import declared
from noskew.stores.offline.commit import TRIES, commit, overtaken
from noskew.stores.offline.files import WORKERS, Attempt, list_files
from noskew.stores.offline.parquet import read_file
from noskew.stores.offline.plan import PlannedFile, ReadPlan
from noskew.stores.offline.sorting import sorted_run
from noskew.stores.offline.sweep import sweep, unreferenced
from noskew.stores.offline.tiers import small_run

#: Buckets rewritten by one commit. It bounds what a kill or a conflict throws away.
_BUCKETS_PER_COMMIT = 64
_DIRECTORY = "compact"

#: The files of a table, as of a state of it.
PlanOf = Callable[[TableState, Snapshot | None], ReadPlan]
#: Files to merge into one, by bucket.
_Merges = Mapping[int, tuple[PlannedFile, ...]]


def compact(load: Callable[[], TableState], plan_of: PlanOf, progress: RowProgress | None) -> int:
    """Rewrite the buckets that have several files, then remove files that nothing refers to.

    Gives the number of files replaced. Raises ConflictError if somebody else compacts
    meanwhile; what was rewritten before stays so.
    """
    state = load()
    present = list_files(state, state.table.location())
    merges = {
        bucket: files for bucket, files in _plan(state, plan_of).buckets.items() if len(files) > 1
    }
    replaced = _rewrite_all(load, plan_of, state, merges, progress)
    if unreferenced(load(), present):
        sweep(load, present)
    return replaced


def compact_small(
    load: Callable[[], TableState], plan_of: PlanOf, progress: RowProgress | None
) -> int:
    """Merge files that are small beside the rest of their bucket; as :func:`compact` else."""
    state = load()
    runs = {b: small_run(files) for b, files in _plan(state, plan_of).buckets.items()}
    merges = {bucket: run for bucket, run in runs.items() if run}
    return _rewrite_all(load, plan_of, state, merges, progress, at_once=1)


def _rewrite_all(
    load: Callable[[], TableState],
    plan_of: PlanOf,
    state: TableState,
    merges: _Merges,
    progress: RowProgress | None,
    *,
    at_once: int = WORKERS,
) -> int:
    replaced = 0
    for group in _groups(merges):
        replaced += _rewrite(load, plan_of, state, group, progress, at_once=at_once)
        state = load()
    return replaced


def _groups(merges: _Merges) -> Iterator[_Merges]:
    buckets = sorted(merges)
    for start in range(0, len(buckets), _BUCKETS_PER_COMMIT):
        yield {bucket: merges[bucket] for bucket in buckets[start : start + _BUCKETS_PER_COMMIT]}


def _rewrite(
    load: Callable[[], TableState],
    plan_of: PlanOf,
    state: TableState,
    group: _Merges,
    progress: RowProgress | None,
    *,
    at_once: int,
) -> int:
    """Merge, and commit on top of whatever was appended meanwhile."""
    replaced = [file for files in group.values() for file in files]
    with Attempt(state, _DIRECTORY) as attempt:
        added = attempt.write(
            sorted(group), lambda bucket: _merged(state, group[bucket]), progress, at_once=at_once
        )
        for _ in range(TRIES):
            latest = load()
            if latest.sweeps != state.sweeps or not _has_all(latest, plan_of, replaced):
                break
            try:
                commit(
                    latest,
                    attempt,
                    added=[file.data_file(latest) for file in added],
                    replaced=[file.entry for file in replaced],
                    # As it is by now: appends that came meanwhile have moved it on.
                    summary={NEXT_SEQUENCE: str(latest.next_sequence)},
                )
            except ConflictError:
                continue
            return len(replaced)
        raise overtaken(state.spec.name)


def _has_all(state: TableState, plan_of: PlanOf, files: Iterable[PlannedFile]) -> bool:
    present = {file.path for file in _plan(state, plan_of).files(None)}
    return all(file.path in present for file in files)


def _plan(state: TableState, plan_of: PlanOf) -> ReadPlan:
    return plan_of(state, state.table.current_snapshot())


def _merged(state: TableState, files: Sequence[PlannedFile]) -> pa.Table:
    names = state.stored.names
    keys = state.spec.keys
    runs = [read_file(state.io, file, names, None, keys) for file in files]
    rows = pa.concat_tables([declared(run, state.stored, names) for run in runs if run is not None])
    # Sequences are unique, so the result is the same whatever order the files come in.
    return sorted_run(rows, keys, arrival=False).cast(state.stored)
