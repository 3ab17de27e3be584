"""Status: how far the streams of a project are, seen from any machine.

Nothing of a worker's own is looked at, but what all machines share: the log, the rows that say
in the online store how far each partition is, and the notes of the offline tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from noskew.addresses import Tenant, origin_of
from noskew.clock import MIN_TIME, Clock
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import NoskewError
from noskew.intake.logs import Logs
from noskew.intake.tables import table_name
from noskew.kernel.rows.codec import version_of
from noskew.registry.base import Registry
from noskew.stores.offline.base import OfflineStore
from noskew.stores.online.base import OnlineStore
from noskew.streaming.fold.generation import StreamGenerations
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.quarantine.table import QuarantineTotals, info_of, totals

#: The first offset of each partition that the log holds, and the one that comes next.
_Bounds = dict[int, tuple[int, int]]
#: Of each table of events, by log hash: how far it is in each partition, and what is in quarantine.
_Tables = dict[str, tuple[dict[int, PartitionProgress], QuarantineTotals]]


@dataclass(frozen=True)
class PartitionStatus:
    """How far a view is in one partition. None: it is not known.

    Attributes
    ----------
    begin, end
        The first offset that the log holds, and the one that comes next.
    progress
        Of a view that is online, how far its published rows are; of any other, how far its
        events are archived. None: nothing was read yet.
    fresh_until
        µs: nothing that was known by then is missing in the rows.
    archived
        The first offset that is not in the offline table.
    """

    partition: int
    begin: int | None
    end: int | None
    progress: PartitionProgress | None
    fresh_until: int | None
    archived: int | None

    @property
    def next_offset(self) -> int | None:
        """The first message that was not read."""
        return self.begin if self.progress is None else self.progress.next_offset

    @property
    def lag(self) -> int | None:
        """Offsets that were not read yet."""
        if self.end is None or self.next_offset is None:
            return None
        return max(0, self.end - self.next_offset)


@dataclass(frozen=True)
class ViewStatus:
    """How far a view is. ``quarantine``: its rows there; None: not known.

    ``is_of_another_log``: its rows were folded from a log that was since made anew.
    """

    name: str
    online: bool
    partitions: list[PartitionStatus]
    quarantine: QuarantineTotals | None = None
    is_of_another_log: bool = False


@dataclass(frozen=True)
class SourceStatus:
    """How far the views of a source are, at a time (µs).

    ``faults``: what could not be asked ("log", "online store", "offline store"), and why.
    """

    name: str
    at: int
    log: str | None
    views: list[ViewStatus]
    faults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Observer:
    """Looks at the streams of a project, whatever of it can be reached.

    Stores are asked for at each look, so that one that is down is a fault of the answer and not
    the end of it.
    """

    tenant: Tenant
    clock: Clock
    registry: Registry
    logs: Logs
    offline: Callable[[], OfflineStore]
    online: Callable[[], OnlineStore]

    def look(self, source: Source, views: Iterable[FeatureView]) -> SourceStatus:
        """How far the views of a source are. Raises what the registry does, and nothing else."""
        mine = [v for v in views if v.source.name == source.name]
        at, faults = self.clock.now(), dict[str, str]()
        log: str | None = None
        bounds: _Bounds = {}
        tables: _Tables = {}
        rows: dict[bytes, bytes] = {}
        generations = StreamGenerations(self.tenant.name, self.registry, self.clock)
        logs = {v.name: its.log for v in mine if (its := generations.of(v))}
        with _noting(faults, "log"):
            log, bounds = self._bounds(source)
        known = log or next(iter(logs.values()), None)
        with _noting(faults, "offline store"):
            tables = self._tables(mine, known)
        numbers = sorted({*bounds, *(n for archive, _ in tables.values() for n in archive)})
        with _noting(faults, "online store"):
            rows = self._rows(mine, numbers)
        statuses = []
        for view in mine:
            archive, quarantine = tables.get(view.log_hash, ({}, None))
            parts = [self._part(view, n, bounds.get(n), archive.get(n), rows) for n in numbers]
            is_other = log is not None and logs.get(view.name, log) != log
            statuses.append(ViewStatus(view.name, view.online, parts, quarantine, is_other))
        return SourceStatus(source.name, at, log, statuses, faults)

    def _bounds(self, source: Source) -> tuple[str, _Bounds]:
        log = self.logs.of(source)
        return log.identity, {n: log.bounds(n) for n in range(log.partitions)}

    def _tables(self, views: Sequence[FeatureView], log: str | None) -> _Tables:
        store = self.offline()
        one_of_each = {v.log_hash: v for v in views}.values()
        return {
            v.log_hash: (archived(store, v, log) if log else {}, totals(store, v))
            for v in one_of_each
        }

    def _rows(self, views: Sequence[FeatureView], numbers: Sequence[int]) -> dict[bytes, bytes]:
        """What the online store says of partitions, by key."""
        keys = []
        for of in (self.tenant.rows(view) for view in views if view.online):
            keys += [*map(of.progress, numbers), *map(of.fresh, numbers)]
        rows = self.online().read(keys)
        return {key: row for key, row in zip(keys, rows, strict=True) if row is not None}

    def _part(
        self,
        view: FeatureView,
        number: int,
        bounds: tuple[int, int] | None,
        archive: PartitionProgress | None,
        rows: Mapping[bytes, bytes],
    ) -> PartitionStatus:
        begin, end = bounds or (None, None)
        done = archive.next_offset if archive else None
        if not view.online:
            return PartitionStatus(number, begin, end, archive, None, done)
        of = self.tenant.rows(view)
        progress_row = rows.get(of.progress(number))
        fresh_until = _latest(progress_row, rows.get(of.fresh(number)))
        progress = PartitionProgress.from_row(progress_row) if progress_row else None
        return PartitionStatus(number, begin, end, progress, fresh_until, done)


def archived(offline: OfflineStore, view: FeatureView, log: str) -> dict[int, PartitionProgress]:
    """How far the table of a view's events is in the partitions of the log of an identity."""
    info = info_of(offline, table_name(view))
    notes = (info.notes if info else None) or {}
    start = origin_of(log, "")
    return {
        int(name.removeprefix(start)): PartitionProgress.from_bytes(text.encode())
        for name, text in notes.items()
        if name.startswith(start)
    }


@contextmanager
def _noting(faults: dict[str, str], what: str) -> Iterator[None]:
    """Keep what an error says in the place of raising it."""
    try:
        yield
    except NoskewError as error:
        faults[what] = str(error)


def _latest(*rows: bytes | None) -> int | None:
    """The latest known time of rows; None if none says any."""
    times = [version_of(row)[0] for row in rows if row is not None]
    return max((t for t in times if t > MIN_TIME), default=None)
