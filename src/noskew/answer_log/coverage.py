"""Coverage: what an online store says it holds, noted before rows are read from it.

A row says by its version which facts it has folded. A row that is not there says nothing, nor
does an old one say whether it had to be newer: that says the coverage of its view, as JSON.

Rows that ``materialize`` wrote::

    {"until": 1370088000000000, "number": 7, "sequence": 4711}

All facts known by ``until`` were folded whose sequence in the offline table is at most ``sequence``
(null: of the table's snapshot ``number``). ``until`` is null where nothing was materialized yet.

Rows that a stream keeps::

    {"generation": 0, "log": "3f…", "history": 4711, "offsets": [120, 98]}

Of the log with the identity ``log`` all events were folded before these offsets, by partition;
and of all other facts those whose sequence is at most ``history``. Both are null where the
registry does not say.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from time import perf_counter

from noskew.addresses import OnlineRows
from noskew.kernel.rows.codec import OFFSET_BITS, version_of
from noskew.reading.request_plan import ViewRequest
from noskew.registry.base import Registry
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import MATERIALIZED, STREAM
from noskew.registry.records.streaming import StreamGeneration
from noskew.registry.records.views import MaterializedUntil
from noskew.stores.online.base import OnlineStore

#: Looks that are remembered; there is one a second.
_LOOKS = 3_600

#: What is known of a view, as JSON, by the prefix of its rows.
RowCoverage = Mapping[bytes, str]


class Coverage:
    """What is covered of views, looked at now and then by one thread.

    A claim that is older than it could be is no less true: the facts that it names are folded,
    and of those that are not the rows themselves tell.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._partitions: dict[bytes, int] = {}
        self._runs: Mapping[DefinitionKey, MaterializedUntil] = {}
        self._generations: Mapping[DefinitionKey, StreamGeneration] = {}
        self._before: dict[bytes, object] = {}
        self._looks: list[tuple[float, RowCoverage]] = []

    def at(self, start: float) -> RowCoverage:
        """What was known before ``start`` of the performance counter; empty if nothing was."""
        looks = self._looks
        at = bisect_right(looks, start, key=lambda look: look[0])
        return looks[at - 1][1] if at else {}

    def look(self, views: Iterable[ViewRequest], store: OnlineStore, registry: Registry) -> None:
        """Note what is covered now. Raises what the stores do, and then nothing changes."""
        chosen = {view.prefix: view for view in views}
        rows = self._read(chosen, store)
        progress = {prefix: self._progress(prefix, rows) for prefix in chosen}
        if self._is_new(chosen, progress):
            runs = registry.records(self._project, MATERIALIZED)
            generations = registry.records(self._project, STREAM)
            self._runs = {r.key: r.value for r in runs}
            self._generations = {r.key: r.value for r in generations}
        self._before = progress
        covered = {prefix: self._coverage(view, rows) for prefix, view in chosen.items()}
        if not self._looks or self._looks[-1][1] != covered:
            self._looks = [*self._looks[-_LOOKS:], (perf_counter(), covered)]

    def _progress(self, prefix: bytes, rows: Mapping[bytes, bytes]) -> object:
        """What cannot change without a change in the registry's records of the view."""
        count = self._partitions.get(prefix, 0)
        if not count:
            return _version(rows.get(OnlineRows(prefix).heartbeat))
        marks = [_version(rows.get(OnlineRows(prefix).progress(n))) for n in range(count)]
        return {0 if mark is None else mark[1] >> OFFSET_BITS for mark in marks}

    def _is_new(self, views: Mapping[bytes, ViewRequest], progress: Mapping[bytes, object]) -> bool:
        """Whether the registry has to be asked: rows changed, or its record was not yet theirs."""
        if progress != self._before:
            return True
        return any(
            isinstance(version, tuple)
            and (
                (run := self._runs.get(DefinitionKey.of(views[prefix].view))) is None
                or version[0] > run.until
            )
            for prefix, version in progress.items()
        )

    def _read(self, views: Mapping[bytes, ViewRequest], store: OnlineStore) -> dict[bytes, bytes]:
        """Heartbeats, and how far each partition is, by key."""
        keys = [OnlineRows(prefix).heartbeat for prefix in views]
        for prefix, view in views.items():
            if view.view.source.stream is not None:
                known = self._partitions.get(prefix, 0)
                keys += [OnlineRows(prefix).progress(n) for n in range(known + 1)]
        rows = _there(keys, store)
        for prefix in views:
            # One more than were there the last time: as long as that is there, too, go on.
            count = self._partitions.get(prefix, 0)
            while OnlineRows(prefix).progress(count) in rows:
                count += 1
                rows |= _there([OnlineRows(prefix).progress(count)], store)
            self._partitions[prefix] = count
        return rows

    def _coverage(self, view: ViewRequest, rows: Mapping[bytes, bytes]) -> str:
        prefix, key = view.prefix, DefinitionKey.of(view.view)
        count = self._partitions.get(prefix, 0)
        if count:
            marks = [_version(rows.get(OnlineRows(prefix).progress(n))) for n in range(count)]
            numbers = [0 if mark is None else mark[1] for mark in marks]
            return _streamed(numbers, self._generations.get(key))
        version = _version(rows.get(OnlineRows(prefix).heartbeat))
        return _materialized(version, self._runs.get(key))


def _version(row: bytes | None) -> tuple[int, int] | None:
    return None if row is None else version_of(row)


def _there(keys: list[bytes], store: OnlineStore) -> dict[bytes, bytes]:
    pairs = zip(keys, store.read(keys), strict=True)
    return {key: row for key, row in pairs if row is not None}


def _materialized(version: tuple[int, int] | None, run: MaterializedUntil | None) -> str:
    """``version``: that of the heartbeat; ``run``: the last one, if it is known."""
    if version is None:
        return json.dumps({"until": None})
    if run is not None and version[0] >= run.until:
        return json.dumps({"until": run.until, "number": run.number, "sequence": run.sequence})
    return json.dumps({"until": version[0], "number": version[1], "sequence": None})


def _streamed(numbers: list[int], agreed: StreamGeneration | None) -> str:
    """``numbers``: of each partition's version; ``agreed``: the generation that is agreed on."""
    below = (1 << OFFSET_BITS) - 1
    if agreed is None:
        generation = max(v >> OFFSET_BITS for v in numbers)
    else:
        generation = agreed.number
    covered = {
        "generation": generation,
        "log": None if agreed is None else agreed.log,
        "history": None if agreed is None else agreed.history,
        # While rows are made anew, nothing is claimed of partitions that still have the old.
        "offsets": [v & below if v >> OFFSET_BITS == generation else 0 for v in numbers],
    }
    return json.dumps(covered)
