"""A shop whose sales come in every day: its project, rows, and the forms that they are given in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

import noskew as ns
from noskew.clock import to_text
from noskew.training.ingest import IngestReport

DAY = 86_400_000_000
NOW = 1_748_736_000_000_000
COLUMNS = {"user_id": int, "at": "timestamp", "amount": float, "shop": str}
USERS = [1, 2, 3]
USER = ns.Entity("user", keys={"user_id": int})
FEATURES = [ns.count(), ns.sum("amount"), ns.last_n("amount", 3)]
NAMES = ["count", "amount_sum", "amount_last_3"]


def table(*rows: tuple[int, int, float, str]) -> pa.Table:
    """Rows of (user, day, amount, shop)."""
    return table_of([(u, NOW + (day - 40) * DAY, amount, s) for u, day, amount, s in rows])


def table_of(rows: Sequence[tuple[int, int, float, str]]) -> pa.Table:
    """Rows of (user, event time in µs, amount, shop)."""
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    users, times, amounts, shops = (list(c) for c in columns)
    when = pa.array(times, pa.int64()).view(pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "user_id": pa.array(users, pa.int64()),
            "at": when,
            "amount": pa.array(amounts, pa.float64()),
            "shop": pa.array(shops, pa.string()),
        }
    )


ROWS = [(1, 1, 10.0, "a"), (1, 1, 10.0, "a"), (1, 2, 5.0, "b"), (2, 1, 7.0, "a")]
MORE = [*ROWS, (3, 3, 1.0, "c"), (1, 3, 2.5, "b")]


class Project:
    """A project of one view, whose source is declared anew each day."""

    def __init__(self, root: Path, features: list[Any] = FEATURES, **options: Any) -> None:
        self.clock = ns.FixedClock(NOW)
        self.store = ns.FeatureStore(root / "project", project="shop", clock=self.clock)
        self.features, self.options = features, options

    def declare(self, batch: Any) -> None:
        source = ns.Source("sales", COLUMNS, event_time="at", batch=batch, **self.options)
        view = ns.FeatureView("spent", entity=USER, source=source, features=self.features)
        self.view = view
        self.store.apply([ns.FeatureService("model", [view])])

    def ingest(self, data: Any = None) -> IngestReport:
        (report,) = self.store.ingest(None if data is None else "sales", data)
        return report

    def counts(self) -> dict[int, tuple[int, float | None]]:
        """Count and sum of users, the same offline and online."""
        offline = self._historical(None)
        self.store.materialize()
        online = self.online(USERS).to_pylist()
        for one, other in zip(offline, online, strict=True):
            assert {n: one[n] for n in NAMES} == {n: other[n] for n in NAMES}
        return _counts(offline)

    def counts_known_at(self, known_at: int) -> dict[int, tuple[int, float | None]]:
        """What a run at a time would have seen, µs."""
        return _counts(self._historical(known_at))

    def online(self, users: list[int]) -> pa.Table:
        """What the online store says of users."""
        return self.store.get_online_features("model", {"user_id": users}).to_arrow()

    def historical(self, asked: pa.Table, known_at: int | str | None) -> pa.Table:
        """A training set; ``known_at`` in µs."""
        when = to_text(known_at) if isinstance(known_at, int) else known_at
        return self.store.get_historical_features(asked, "model", known_at=when).to_arrow()

    def _historical(self, known_at: int | None) -> list[dict[str, Any]]:
        when = pa.array([self.clock.now()] * len(USERS)).view(pa.timestamp("us", "UTC"))
        asked = pa.table({"user_id": pa.array(USERS, pa.int64()), "event_timestamp": when})
        return self.historical(asked, known_at).to_pylist()


def _counts(rows: list[dict[str, Any]]) -> dict[int, tuple[int, float | None]]:
    count, total, _ = NAMES
    return {row["user_id"]: (row[count], row[total]) for row in rows}


ONCE = {1: (3, 25.0), 2: (1, 7.0), 3: (0, None)}
GROWN = {1: (4, 27.5), 2: (1, 7.0), 3: (1, 1.0)}


def as_parquet(place: Path, data: pa.Table) -> ns.Parquet:
    pq.write_table(data, place / "sales.parquet")
    return ns.Parquet(str(place / "sales.parquet"))


def as_csv(place: Path, data: pa.Table) -> ns.Csv:
    pacsv.write_csv(data, place / "sales.csv")
    return ns.Csv(str(place / "sales.csv"))


def as_duckdb(place: Path, data: pa.Table) -> ns.DuckDb:
    with duckdb.connect(str(place / "sales.duckdb")) as connection:
        connection.register("given", data)
        connection.execute("CREATE OR REPLACE TABLE sales AS SELECT * FROM given")
    return ns.DuckDb("SELECT * FROM sales ORDER BY ALL", str(place / "sales.duckdb"))


FORMS: dict[str, Callable[[Path, pa.Table], Any]] = {
    "parquet": as_parquet,
    "csv": as_csv,
    "duckdb": as_duckdb,
}
