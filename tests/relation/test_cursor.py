"""Queries that are read by a cursor: what is read, what is noticed, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import noskew as ns
from noskew.clock import to_text
from noskew.errors import ChangedRowsError, DefinitionError, InputError
from noskew.training.ingest import IngestReport
from tests.relation.shop import DAY, NOW, USER

HOUR = DAY // 24
COLUMNS = {
    "id": int,
    "user_id": int,
    "sold_at": "timestamp",
    "amount": float,
    "changed_at": "timestamp",
}


class Orders:
    """A table of orders in a database, and a project that ingests it by ``changed_at``."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.database = root / "orders.duckdb"
        self.clock = ns.FixedClock(NOW)
        self.run(
            "CREATE TABLE orders (id BIGINT, user_id BIGINT, sold_at TIMESTAMPTZ, "
            "amount DOUBLE, changed_at TIMESTAMPTZ)"
        )
        batch = ns.DuckDb("SELECT * FROM orders -- by whom?", str(self.database))
        options = {"cursor": "changed_at", "overlap": "1h", **options}
        source = ns.Source("orders", COLUMNS, event_time="sold_at", batch=batch, **options)
        view = ns.FeatureView(
            "spent", entity=USER, source=source, features=[ns.count(), ns.sum("amount")]
        )
        self.store = ns.FeatureStore(root / "project", project="shop", clock=self.clock)
        self.store.apply([ns.FeatureService("model", [view])])

    def run(self, sql: str, *values: Any) -> None:
        with duckdb.connect(str(self.database)) as connection:
            connection.execute(sql, list(values))

    def put(self, number: int, user: int, amount: float, *, ago: int = 0) -> None:
        """A new order, or a new version of one; ``ago``: hours before now."""
        self.run("DELETE FROM orders WHERE id = ?", number)
        self.run(
            "INSERT INTO orders VALUES (?, ?, make_timestamptz(?), ?, make_timestamptz(?))",
            number,
            user,
            NOW - DAY,
            amount,
            self.clock.now() - ago * HOUR,
        )

    def ingest(self, *, full: bool = False) -> IngestReport:
        (report,) = self.store.ingest(full=full)
        self.clock.advance("1d")
        return report

    def values(self, *users: int) -> list[tuple[int, float | None]]:
        when = [self.clock.now()] * len(users)
        asked = {"user_id": list(users), "event_timestamp": [to_text(t) for t in when]}
        rows = self.store.get_historical_features(asked, "model").to_arrow().to_pylist()
        return [(row["count"], row["amount_sum"]) for row in rows]


def test_only_rows_from_the_mark_on_are_read(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    for number in range(10):
        orders.put(number, 1, 1.0, ago=10 - number)
    assert orders.ingest().rows == 10
    orders.put(10, 2, 5.0)
    report = orders.ingest()
    assert (report.rows, report.known, report.behind) == (1, 2, 0)  # the last hour is compared
    assert orders.values(1, 2) == [(10, 10.0), (1, 5.0)]


def test_rows_that_appear_late_within_the_overlap_count_once(tmp_path: Path) -> None:
    orders = Orders(tmp_path, overlap="30h")
    orders.put(1, 1, 1.0)
    orders.ingest()
    orders.put(2, 1, 1.0, ago=25)
    report = orders.ingest()
    assert (report.rows, report.known, report.behind) == (1, 1, 0)
    assert orders.ingest().rows == 0
    assert orders.values(1) == [(2, 2.0)]


def test_rows_that_appear_behind_the_mark_are_noticed_and_read(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    orders.put(1, 1, 1.0)
    orders.ingest()
    orders.put(2, 1, 1.0)
    orders.put(3, 1, 1.0, ago=100)
    report = orders.ingest()
    assert (report.rows, report.behind) == (2, 1)
    assert orders.values(1) == [(3, 3.0)]


def test_rows_that_go_behind_the_mark_are_refused(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    orders.put(1, 1, 1.0)
    orders.put(2, 1, 2.0)
    orders.ingest()
    orders.put(3, 1, 4.0)
    orders.ingest()
    orders.run("DELETE FROM orders WHERE id = 1")
    with pytest.raises(ChangedRowsError, match="1 rows"):
        orders.ingest()
    assert orders.values(1) == [(3, 7.0)]


@pytest.mark.parametrize("ids", [{}, {"event_id": "id"}], ids=["rows", "ids"])
def test_what_the_query_holds_is_the_truth(tmp_path: Path, ids: dict[str, str]) -> None:
    """A new version takes the place of the old one, wherever that is; so does nothing."""
    orders = Orders(tmp_path, changes="replace", **ids)
    for number in range(4):
        orders.put(number, 1, 1.0)
    orders.ingest()
    orders.put(4, 1, 16.0)
    orders.ingest()
    orders.put(0, 1, 100.0)  # behind the mark
    orders.put(4, 1, 32.0)  # within the overlap
    report = orders.ingest()
    # Where rows have ids, the old version is found by its id, and the rest is not read.
    assert (report.rows, report.retracted, report.behind) == (2, 2, 0 if ids else 1)
    assert orders.values(1) == [(5, 135.0)]
    orders.run("DELETE FROM orders WHERE id = 1")
    assert orders.ingest().retracted == 1
    assert orders.values(1) == [(4, 134.0)]


def test_a_row_that_is_dated_ahead_hides_none(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    orders.put(1, 1, 1.0, ago=-10_000)
    orders.ingest()
    orders.put(2, 1, 1.0)
    report = orders.ingest()
    assert (report.rows, report.known) == (1, 1)
    orders.put(3, 2, 1.0)
    assert orders.ingest().rows == 1
    assert orders.values(1, 2) == [(2, 2.0), (1, 1.0)]


def test_a_row_that_changed_in_place_is_found_by_a_full_ingest(tmp_path: Path) -> None:
    orders = Orders(tmp_path, changes="replace")
    orders.put(1, 1, 1.0)
    orders.ingest()
    orders.put(2, 1, 2.0)
    orders.ingest()
    orders.run("UPDATE orders SET amount = 5.0 WHERE id = 1")
    assert orders.ingest().retracted == 0
    report = orders.ingest(full=True)
    assert (report.rows, report.known, report.retracted, report.behind) == (1, 1, 1, 0)
    assert orders.values(1) == [(2, 7.0)]


def test_rows_that_were_given_before_count_once(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    orders.put(1, 1, 1.0)
    orders.ingest()
    orders.put(2, 1, 2.0)
    with duckdb.connect(str(orders.database)) as connection:
        data = connection.sql("SELECT * FROM orders WHERE id = 2").to_arrow_table()
    (report,) = orders.store.ingest("orders", data)
    assert report.rows == 1
    assert orders.ingest().rows == 0
    assert orders.values(1) == [(2, 3.0)]


def test_an_undone_ingest_is_read_again(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    orders.put(1, 1, 1.0)
    orders.ingest()
    orders.put(2, 1, 2.0)
    orders.ingest()
    first = list(orders.store.ingests())[-1]
    orders.store.undo_ingest(first)
    assert orders.values(1) == [(1, 2.0)]
    assert orders.ingest().rows == 1
    assert orders.values(1) == [(2, 3.0)]


def test_rows_without_a_cursor_are_refused(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    orders.put(1, 1, 1.0)
    orders.run("UPDATE orders SET changed_at = NULL")
    with pytest.raises(InputError, match="null in 1 rows"):
        orders.ingest()


def test_a_source_that_was_ingested_before_gets_a_cursor(tmp_path: Path) -> None:
    orders = Orders(tmp_path, cursor=None, overlap=None)
    orders.put(1, 1, 1.0)
    orders.ingest()
    source = orders.store.applied.project.source("orders")
    batch = source.batch
    again = ns.Source("orders", COLUMNS, event_time="sold_at", batch=batch, cursor="changed_at")
    assert again.identity() == source.identity()
    view = ns.FeatureView(
        "spent", entity=USER, source=again, features=[ns.count(), ns.sum("amount")]
    )
    orders.store.apply([ns.FeatureService("model", [view])])
    for number, known in ((2, 1), (3, 1)):
        orders.put(number, 1, 1.0)
        report = orders.ingest()
        assert (report.rows, report.known) == (1, known)
    assert orders.values(1) == [(3, 3.0)]


def declared_again(orders: Orders, **options: Any) -> None:
    batch = orders.store.applied.project.source("orders").batch
    source = ns.Source("orders", COLUMNS, event_time="sold_at", batch=batch, **options)
    features = [ns.count(), ns.sum("amount")]
    view = ns.FeatureView("spent", entity=USER, source=source, features=features)
    orders.store.apply([ns.FeatureService("model", [view])])


@pytest.mark.parametrize("before", [None, "id"])
def test_events_that_do_not_know_this_cursor_are_neither_lost_nor_kept(
    tmp_path: Path, before: str | None
) -> None:
    """Those of before it was declared, or of another column, which may be greater or less."""
    overlap = 10 if before else None
    orders = Orders(tmp_path, changes="replace", cursor=before, overlap=overlap)
    ids = [2**62 + n for n in range(6)]  # as great as any time
    for i, number in enumerate(ids):
        orders.put(number, 1, 2.0**i, ago=100 - i)
    orders.ingest()
    declared_again(orders, changes="replace", cursor="changed_at", overlap="1h")
    assert (orders.ingest().rows, orders.values(1)) == (0, [(6, 63.0)])
    assert (orders.ingest().retracted, orders.values(1)) == (0, [(6, 63.0)])
    for gone, left in ((5, 31.0), (0, 30.0), (4, 14.0)):
        orders.run("DELETE FROM orders WHERE id = ?", ids[gone])
        assert orders.ingest().retracted == 1
        assert orders.values(1)[0][1] == left
    orders.put(7, 1, 100.0)
    report = orders.ingest()
    assert (report.rows, report.behind, orders.values(1)) == (1, 0, [(4, 114.0)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cursor": "nothing"}, "is not in its schema"),
        ({"cursor": "amount"}, "must be a timestamp or an integer"),
        ({"cursor": "id"}, "say how far back"),
        ({"cursor": "id", "overlap": -1}, "must not be negative"),
        ({"overlap": "1h"}, "is for a source with a cursor"),
        ({"cursor": "sold_at", "batch": ns.Parquet("data/")}, "is for queries"),
    ],
)
def test_what_cannot_be_a_cursor(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        ns.Source(
            "orders", COLUMNS, event_time="sold_at", **({"batch": ns.DuckDb("SELECT 1")} | options)
        )


_STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "late", "old", "delete", "day"]), st.integers(0, 5)),
    max_size=16,
)


@pytest.mark.parametrize("ids", [{}, {"event_id": "id"}], ids=["rows", "ids"])
@settings(max_examples=12)
@given(steps=_STEPS)
def test_by_a_cursor_is_as_by_all(
    tmp_path_factory: pytest.TempPathFactory, ids: dict[str, str], steps: list[tuple[str, int]]
) -> None:
    """Whatever becomes of the rows, values are those of the rows that are there."""
    orders = Orders(tmp_path_factory.mktemp("cursor"), changes="replace", **ids)
    there: dict[int, tuple[int, float]] = {}
    for i, (what, number) in enumerate([*steps, ("day", 0)]):
        amount, user = float(i), 1 + (i + number) % 2
        if what == "delete":
            orders.run("DELETE FROM orders WHERE id = ?", number)
            there.pop(number, None)
        elif what != "day":
            orders.put(number, user, amount, ago={"put": 0, "late": 24, "old": 100}[what])
            there[number] = user, amount
        else:
            orders.ingest()
            for user in (1, 2):
                amounts = [a for u, a in there.values() if u == user]
                expected = (len(amounts), sum(amounts) if amounts else None)
                assert orders.values(user) == [expected], (i, user)
