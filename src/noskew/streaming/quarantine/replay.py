"""Replay: quarantined messages, appended to their log again."""

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
    """Appends quarantined rows of a source to its log, as messages like any other.

    All views of the source read them, so a row that one view has quarantined and another one has
    counted is left out, unless its event id tells the other that it comes again.

    For each portion of rows:

    1. their payloads are read from the quarantine tables,
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
        self._quarantines = quarantine_tables(
            offline, [v for v in views if v.source.name == source.name]
        )
        self._replays: dict[str, int] = {}

    def plan(
        self, selection: QuarantineSelection, *, view: str | None = None, again: bool = False
    ) -> ReplayPlan:
        """Which rows are replayed. ``view``: only those that this view has quarantined.

        ``again``: those that were replayed before, too.
        """
        asked = {q.table for q in self._quarantines if view in (None, *(v.name for v in q.views))}
        obstacles = _Obstacles(self._source, self._log, self._quarantines, self._clock.now())
        left_out: Counter[str] = Counter()
        rows = []
        for by_table in self._standing().values():
            chosen = {t: row for t, row in by_table.items() if t in asked and row in selection}
            if not chosen:
                continue
            why = obstacles.of(by_table, list(chosen.values()), again=again)
            if why:
                left_out[why] += 1
                continue
            source, row = next((t, row) for t, row in chosen.items() if not row.is_late)
            rows.append(Planned(row, source, frozenset(by_table)))
        rows.sort(key=lambda p: (p.row.known_time, p.row.place))
        return ReplayPlan(rows, left_out)

    def run(self, plan: ReplayPlan, progress: Callable[[int], None] | None = None) -> int:
        """Replay what :meth:`plan` gave; how many messages were appended.

        ``progress`` is called with the number of those appended since the last call. Raises what
        the stores do, having recorded what was appended, and ConflictError if somebody else replays
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
                    if progress:
                        progress(len(group))
            finally:
                self._record(appended)  # 3
            done += len(appended)
        return done

    def _standing(self) -> dict[RowOrigin, dict[str, QuarantinedRow]]:
        """Every quarantined row, as each table that has it says."""
        standing: dict[RowOrigin, dict[str, QuarantinedRow]] = {}
        for quarantine in self._quarantines:
            rows, self._replays[quarantine.table] = quarantine.rows()
            for row in rows:
                standing.setdefault(row.place, {})[quarantine.table] = row
        return standing

    def _payloads(self, portion: Sequence[Planned]) -> dict[RowOrigin, bytes]:
        payloads: dict[RowOrigin, bytes] = {}
        for quarantine in self._quarantines:
            payloads |= quarantine.payloads(
                [p.row for p in portion if p.source == quarantine.table]
            )
        return payloads

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
        for quarantine in self._quarantines:
            places = [p.row.place for p in appended if quarantine.table in p.tables]
            if not places:
                continue
            before = self._replays[quarantine.table]
            try:
                self._replays[quarantine.table] = quarantine.add_replays(
                    places, at=now, after=before
                )
            except NoteMismatchError as error:
                raise ConflictError(
                    f"somebody else replays rows of {quarantine.names} at the same time: "
                    f"{len(appended):,} messages were appended here and may have been there, too; "
                    f"look at 'noskew stream quarantine {self._source.name}' before the next replay"
                ) from error


class _Obstacles:
    """Why a row is not to be replayed, as things are at a time (µs)."""

    def __init__(
        self,
        source: Source,
        log: EventLog,
        quarantines: Sequence[QuarantineTable],
        now: int,
    ) -> None:
        self._horizon = source.event_id_horizon if source.event_id else 0
        self._log, self._partitions = log.identity, log.partitions
        self._quarantines, self._now = quarantines, now
        self._notes = {quarantine.table: _notes(quarantine) for quarantine in quarantines}

    def of(
        self,
        by_table: Mapping[str, QuarantinedRow],
        chosen: Sequence[QuarantinedRow],
        *,
        again: bool,
    ) -> str | None:
        """``by_table``: a row as the tables have it, ``chosen``: as the chosen tables do."""
        place = chosen[0].place
        if all(row.is_late for row in chosen):
            return LATE
        if not again and any(row.replayed_at is not None for row in by_table.values()):
            return REPLAYED
        if place.log != self._log and (self._partitions > 1 or place.partition > 0):
            return OTHER_LOG
        for quarantine in self._quarantines:
            if quarantine.table not in by_table and (why := self._counted(quarantine, chosen[0])):
                return why
        return None

    def _counted(self, quarantine: QuarantineTable, row: QuarantinedRow) -> str | None:
        """Why a row must not come again for views that have not quarantined it."""
        note = self._notes[quarantine.table].get(row.place.origin)
        if (
            note is None
            or PartitionProgress.from_bytes(note.encode()).next_offset <= row.place.offset
        ):
            return f"may be taken in by {quarantine.names}, which is behind; try again in a minute"
        if self._now + _DELAY - row.known_time <= self._horizon:
            return None  # it is known again by its event id
        return f"were taken in by {quarantine.names}, where they would count twice"


def _notes(quarantine: QuarantineTable) -> Mapping[str, str]:
    """How far the table of the events of some views is, by origin."""
    info = info_of(quarantine.offline, table_name(quarantine.views[0]))
    return (info.notes if info else None) or {}
