"""Replay: messages that were set aside, appended to their log again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from noskew.clock import Clock
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import ConflictError, NoteMismatchError
from noskew.intake.tables import table_name
from noskew.stores.log.base import EventLog
from noskew.stores.offline.base import OfflineStore
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.quarantine.selection import QuarantineSelection
from noskew.streaming.quarantine.table import (
    QuarantinedRow,
    QuarantineTable,
    RowOrigin,
    info_of,
    quarantine_tables,
)

LATE = (
    "came late and would be late again: change late= or lateness= of the view instead, and it "
    "reads what the log still holds anew"
)
REPLAYED = "were replayed before; --again appends them once more"
OTHER_LOG = (
    "are of an earlier log of the source, whose partitions may have been others; push their events"
)

#: Rows whose replay is recorded in one commit, so many that a kill can have replayed twice.
_ROWS = 5_000
#: Bytes of one append.
_BYTES = 8 << 20
#: How long it may take from the plan to the append of the last message, in µs.
_DELAY = 600_000_000


@dataclass(frozen=True)
class Planned:
    """A row to replay: it is read from one table, and its replay recorded in all that have it.

    Tables are given by name.
    """

    row: QuarantinedRow
    source: str
    tables: frozenset[str]


@dataclass(frozen=True)
class ReplayPlan:
    """Rows to append, in the order in which the log took them.

    ``left_out``: why others that were asked for are not, and how many.
    """

    rows: list[Planned] = field(default_factory=list)
    left_out: Mapping[str, int] = field(default_factory=dict)


class Replay:
    """Appends rows of a source that were set aside to its log, as messages like any other.

    All views of the source read them, so a row that one view has set aside and another one has
    counted is left out, unless its event id tells the other that it comes again.

    For each portion of rows:

    1. their payloads are read from the tables of rows set aside,
    2. appended to the log, each to the partition that it came from,
    3. and recorded in those tables.

    Killed between 2 and 3 the next replay appends them again: without an event id they then count
    twice. Of two replays at the same time one is told so at 3, and stops.
    """

    def __init__(
        self,
        source: Source,
        views: Iterable[FeatureView],
        log: EventLog,
        offline: OfflineStore,
        clock: Clock,
    ) -> None:
        self._source, self._log, self._offline, self._clock = source, log, offline, clock
        self._asides = quarantine_tables(
            offline, [v for v in views if v.source.name == source.name]
        )
        self._replays: dict[str, int] = {}

    def plan(
        self, selection: QuarantineSelection, *, view: str | None = None, again: bool = False
    ) -> ReplayPlan:
        """Which rows are replayed. ``view``: only those that this view has set aside.

        ``again``: those that were replayed before, too.
        """
        asked = {a.table for a in self._asides if view in (None, *(v.name for v in a.views))}
        obstacles = _Obstacles(self._source, self._log, self._asides, self._clock.now())
        left_out: Counter[str] = Counter()
        rows = []
        for found in self._standing().values():
            chosen = {t: row for t, row in found.items() if t in asked and row in selection}
            if not chosen:
                continue
            why = obstacles.of(found, list(chosen.values()), again=again)
            if why:
                left_out[why] += 1
                continue
            source, row = next((t, row) for t, row in chosen.items() if not row.is_late)
            rows.append(Planned(row, source, frozenset(found)))
        rows.sort(key=lambda p: (p.row.known_time, p.row.place))
        return ReplayPlan(rows, left_out)

    def run(self, plan: ReplayPlan, told: Callable[[int], None] | None = None) -> int:
        """Replay what :meth:`plan` has found; how many messages were appended.

        ``told`` is called with the number of those appended since the last call. Raises what the
        stores do, having recorded what was appended, and ConflictError if somebody else replays
        at the same time.
        """
        done = 0
        for start in range(0, len(plan.rows), _ROWS):
            portion = plan.rows[start : start + _ROWS]
            payloads = self._payloads(portion)  # 1
            appended: list[Planned] = []
            try:
                for group in self._groups(portion, payloads):
                    partition = group[0].row.place.partition
                    self._log.append(partition, [payloads[p.row.place] for p in group])  # 2
                    appended += group
                    if told:
                        told(len(group))
            finally:
                self._record(appended)  # 3
            done += len(appended)
        return done

    def _standing(self) -> dict[RowOrigin, dict[str, QuarantinedRow]]:
        """Every row set aside, as each table that has it says."""
        found: dict[RowOrigin, dict[str, QuarantinedRow]] = {}
        for aside in self._asides:
            rows, self._replays[aside.table] = aside.rows()
            for row in rows:
                found.setdefault(row.place, {})[aside.table] = row
        return found

    def _payloads(self, portion: Sequence[Planned]) -> dict[RowOrigin, bytes]:
        made: dict[RowOrigin, bytes] = {}
        for aside in self._asides:
            made |= aside.payloads([p.row for p in portion if p.source == aside.table])
        return made

    def _groups(
        self, portion: Sequence[Planned], payloads: Mapping[RowOrigin, bytes]
    ) -> Iterator[list[Planned]]:
        """What is appended at once: of one partition, in order, and not too much."""
        by_partition: dict[int, list[Planned]] = {}
        for planned in portion:
            by_partition.setdefault(planned.row.place.partition, []).append(planned)
        for rows in by_partition.values():
            group: list[Planned] = []
            size = 0
            for planned in rows:
                size += len(payloads[planned.row.place])
                if group and size > _BYTES:
                    yield group
                    group, size = [], len(payloads[planned.row.place])
                group.append(planned)
            yield group

    def _record(self, appended: Sequence[Planned]) -> None:
        now = self._clock.now()
        for aside in self._asides:
            places = [p.row.place for p in appended if aside.table in p.tables]
            if not places:
                continue
            before = self._replays[aside.table]
            try:
                self._replays[aside.table] = aside.add_replays(places, at=now, after=before)
            except NoteMismatchError as error:
                raise ConflictError(
                    f"somebody else replays rows of {aside.names} at the same time: "
                    f"{len(appended):,} messages were appended here and may have been there, too; "
                    f"look at 'noskew stream quarantine {self._source.name}' before the next replay"
                ) from error


class _Obstacles:
    """Why a row is not to be replayed, as things are at a time (µs)."""

    def __init__(
        self, source: Source, log: EventLog, asides: Sequence[QuarantineTable], now: int
    ) -> None:
        self._horizon = source.event_id_horizon if source.event_id else 0
        self._log, self._partitions = log.identity, log.partitions
        self._asides, self._now = asides, now
        self._notes = {aside.table: _notes(aside) for aside in asides}

    def of(
        self, found: Mapping[str, QuarantinedRow], chosen: Sequence[QuarantinedRow], *, again: bool
    ) -> str | None:
        """``found``: a row as the tables have it, ``chosen``: as those that were asked for do."""
        place = chosen[0].place
        if all(row.is_late for row in chosen):
            return LATE
        if not again and any(row.replayed_at is not None for row in found.values()):
            return REPLAYED
        if place.log != self._log and (self._partitions > 1 or place.partition > 0):
            return OTHER_LOG
        for aside in self._asides:
            if aside.table not in found and (why := self._counted(aside, chosen[0])):
                return why
        return None

    def _counted(self, aside: QuarantineTable, row: QuarantinedRow) -> str | None:
        """Why a row must not come again for views that have not set it aside."""
        note = self._notes[aside.table].get(row.place.origin)
        if (
            note is None
            or PartitionProgress.from_bytes(note.encode()).next_offset <= row.place.offset
        ):
            return f"may be taken in by {aside.names}, which is behind; try again in a minute"
        if self._now + _DELAY - row.known_time <= self._horizon:
            return None  # it is known again by its event id
        return f"were taken in by {aside.names}, where they would count twice"


def _notes(aside: QuarantineTable) -> Mapping[str, str]:
    """How far the table of the events of some views is, by origin."""
    info = info_of(aside.offline, table_name(aside.views[0]))
    return (info.notes if info else None) or {}
