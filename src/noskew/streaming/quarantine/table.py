"""Quarantine: the rows of a stream that are no events, read back, and which of them were replayed.

They stand in a table beside that of the events (see :func:`quarantine_spec`), which is only ever
appended to. So a row that was replayed stays, and one more says so: with the same origin, offset
and place, the reason :data:`REPLAYED`, and the time of the replay for its known time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from noskew.definitions.view import FeatureView
from noskew.errors import NotFoundError
from noskew.kernel.events import KNOWN_TIME, OFFSET, ORIGIN, PLACE
from noskew.kernel.keys import integers
from noskew.stores.offline.base import Filter, OfflineStore, TableInfo
from noskew.streaming.fold.screening import Quarantined
from noskew.streaming.quarantine.late_events import LATE
from noskew.streaming.quarantine.schema import quarantine_batch, quarantine_spec

#: The reason of a row that says of another one that it was replayed.
REPLAYED = "replayed"
#: The note of a quarantine table that says how many rows of this reason it has.
_COUNT = "replayed"


class RowOrigin(NamedTuple):
    """Where a row stands: the partition of which log, the message, the row in it."""

    origin: str
    offset: int
    row: int

    @property
    def log(self) -> str:
        """The identity of the log."""
        return self.origin.rpartition(":")[0]

    @property
    def partition(self) -> int:
        """The partition of the log."""
        return int(self.origin.rpartition(":")[2])


@dataclass(frozen=True)
class QuarantinedRow:
    """A row in quarantine, without its payload.

    ``known_time``: when the log took its message, µs. ``replayed_at``: when it was last appended
    to the log again, µs; None: never.
    """

    place: RowOrigin
    reason: str
    known_time: int
    replayed_at: int | None = None

    @property
    def is_late(self) -> bool:
        """Whether it is an event that came late. Its payload is that event, not the message."""
        return self.reason == LATE


@dataclass(frozen=True)
class QuarantineTotals:
    """``rows``: how many rows there are; ``replays``: how often one was replayed."""

    rows: int = 0
    replays: int = 0


@dataclass(frozen=True)
class QuarantineTable:
    """The quarantine of views that share their events, and so a table."""

    offline: OfflineStore
    views: tuple[FeatureView, ...]

    @property
    def table(self) -> str:
        """The name of the table."""
        return quarantine_spec(self.views[0]).name

    @property
    def names(self) -> str:
        """The views, by name."""
        return ", ".join(v.name for v in self.views)

    def rows(self) -> tuple[list[QuarantinedRow], int]:
        """Every row, by origin, offset and place; and how many replays the table has."""
        if info_of(self.offline, self.table) is None:
            return [], 0
        table = self.offline.read(self.table, [ORIGIN, OFFSET, PLACE, "reason", KNOWN_TIME])
        reasons = table.column("reason").to_pylist()
        times = integers(table.column(KNOWN_TIME).combine_chunks()).tolist()
        replays: dict[RowOrigin, int] = {}
        quarantined = []
        for place, reason, known in zip(_places(table), reasons, times, strict=True):
            if reason == REPLAYED:
                replays[place] = max(known, replays.get(place, known))
            else:
                quarantined.append((place, reason, known))
        rows = [
            QuarantinedRow(place, why, known, replays.get(place))
            for place, why, known in sorted(quarantined)
        ]
        return rows, len(table) - len(rows)

    def payloads(self, rows: Sequence[QuarantinedRow]) -> dict[RowOrigin, bytes]:
        """The payloads of some of its rows. It costs least if they were known at about one time."""
        if not rows:
            return {}
        times = [r.known_time for r in rows]
        table = self.offline.read(
            self.table,
            [ORIGIN, OFFSET, PLACE, "reason", "payload"],
            where=Filter(known_from=min(times), known_to=max(times)),
        )
        wanted = {(r.place, r.reason) for r in rows}
        each = zip(_places(table), table.column("reason").to_pylist(), strict=True)
        at = [i for i, row in enumerate(each) if row in wanted]
        chosen = table.take(pa.array(at, pa.int64()))
        return dict(zip(_places(chosen), chosen.column("payload").to_pylist(), strict=True))

    def add_replays(self, places: Iterable[RowOrigin], *, at: int, after: int) -> int:
        """Record that rows were replayed ``at`` a time; how many replays the table has then.

        ``after``: how many it had before, as far as is known here. Raises NoteMismatchError,
        having recorded nothing, if it has others: somebody else replays at the same time.
        """
        by_origin: dict[str, list[Quarantined]] = {}
        for place in places:
            row = Quarantined(place.partition, place.offset, place.row, at, REPLAYED, b"")
            by_origin.setdefault(place.origin, []).append(row)
        count = after + sum(map(len, by_origin.values()))
        self.offline.append(
            self.table,
            [quarantine_batch(rows, origin) for origin, rows in by_origin.items()],
            notes={_COUNT: str(count)},
            expected={_COUNT: str(after) if after else None},
        )
        return count


def quarantine_tables(offline: OfflineStore, views: Iterable[FeatureView]) -> list[QuarantineTable]:
    """The quarantines of views: one item for each table."""
    sharing: dict[str, list[FeatureView]] = {}
    for view in views:
        sharing.setdefault(view.log_hash, []).append(view)
    return [QuarantineTable(offline, tuple(group)) for group in sharing.values()]


def totals(offline: OfflineStore, view: FeatureView) -> QuarantineTotals:
    """How many rows of a view are in quarantine; without reading them."""
    info = info_of(offline, quarantine_spec(view).name)
    if info is None:
        return QuarantineTotals()
    replays = int((info.notes or {}).get(_COUNT, 0))
    return QuarantineTotals(info.rows - replays, replays)


def info_of(offline: OfflineStore, table: str) -> TableInfo | None:
    """A table as it is now; None if there is none."""
    try:
        return offline.info(table)
    except NotFoundError:
        return None


def _places(table: pa.Table) -> Iterator[RowOrigin]:
    columns = (table.column(c).to_pylist() for c in (ORIGIN, OFFSET, PLACE))
    return map(RowOrigin._make, zip(*columns, strict=True))
