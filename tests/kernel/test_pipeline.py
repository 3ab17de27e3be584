"""The pipeline is row-wise: batches, their order and their neighbours change no event."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.clock import to_datetime
from noskew.definitions.view import FeatureView
from noskew.errors import SchemaMismatchError, TransformError
from noskew.kernel.events import EVENT_ID, EVENT_TIME, KNOWN_TIME
from noskew.kernel.transforms.pipeline import BUCKET, Pipeline, Transformed
from tests.kernel import transforms_for_tests as functions

S = 1_000_000
SCHEMA: dict[str, Any] = {
    "user_id": int,
    "at": "timestamp",
    "made": "timestamp",
    "id": str,
    "n": int,
    "x": float,
    "ok": bool,
    "s": str,
    "items": "list<int64>",
}
OUT = {"twice": int, "late": bool, "s": str}
TRANSFORMS = {
    "none": None,
    "sql": ns.sql(
        "SELECT n * 2 AS twice, ok AS late, s, list_sum(items)::BIGINT AS total "
        "FROM events WHERE x IS NULL OR x >= 0"
    ),
    "nested": ns.sql(
        "WITH big AS (SELECT *, n + 1 AS more FROM events) SELECT more - 1 AS n, s "
        "FROM (SELECT more, s FROM big WHERE ok) AS kept"
    ),
    "pandas": ns.pandas(functions.doubled, schema=OUT),
    "polars": ns.polars(functions.doubled_polars, schema=OUT),
    "polars, every row": ns.polars(functions.every_row_polars, schema=OUT),
    "polars, a third": ns.polars(functions.third_polars, schema={"third": float, "s": str}),
    "polars, all numbers": ns.polars(functions.all_numbers_polars, schema=OUT),
    "arrow": ns.arrow(functions.doubled_arrow, schema=OUT),
    "pyspark": ns.pyspark(functions.described),
    "spark sql": ns.sql(
        "SELECT n div 2 AS half, size(items) AS s FROM events WHERE ok", dialect="spark"
    ),
    "postgresql": ns.sql("SELECT n / 2 AS half, s FROM events WHERE s ~ '^a'", dialect="postgres"),
}


def make_view(
    transform: Any = None, features: Sequence[Any] = ("s",), **options: Any
) -> FeatureView:
    source = ns.Source("events", SCHEMA, event_time="at", **options)
    entity = ns.Entity("user", {"user_id": int})
    return ns.FeatureView(
        "view", entity=entity, source=source, features=features, transform=transform
    )


def run(
    view: FeatureView, rows: Sequence[dict[str, Any]], known_time: int = 100 * S
) -> Transformed:
    schema = ns.Source("events", SCHEMA, event_time="at").schema.arrow
    batch = pa.Table.from_pylist(list(rows), schema=schema)
    return Pipeline(view)(batch, known_time=known_time, buckets=4)


def counts(made: Transformed) -> dict[str, int]:
    return {why: len(rows) for why, rows in made.refused.items()}


def row(user_id: int | None = 1, at: int = 0, **cells: Any) -> dict[str, Any]:
    return {"user_id": user_id, "at": to_datetime(at), **cells}


cells = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from([1, 2, None]),
        "at": st.sampled_from([0, S, 200 * S, 1_000 * S]).map(to_datetime),
        "made": st.sampled_from([None, to_datetime(0), to_datetime(300 * S)]),
        "id": st.sampled_from([None, "a", "b"]),
        "n": st.sampled_from([None, 0, 3, 2**53 + 1, -(2**61)]),
        "x": st.sampled_from([None, -1.0, 0.0, 2.5, float("inf")]),
        "ok": st.sampled_from([None, True, False]),
        "s": st.sampled_from([None, "", "a", "é"]),
        "items": st.sampled_from([None, [], [1, 2], [None]]),
    }
)


@pytest.mark.parametrize("kind", TRANSFORMS)
@given(rows=st.lists(cells, max_size=12), data=st.data())
def test_any_batching_and_order_of_rows_gives_the_same_events(
    kind: str, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    features = {"nested": ("n", "s")}.get(kind, ("s",))
    view = make_view(
        TRANSFORMS[kind], features, created="made", event_id="id", filter="n IS NULL OR n <> 3"
    )
    pipeline = Pipeline(view)

    def run(some: list[dict[str, Any]]) -> Transformed:
        batch = pa.Table.from_pylist(some, schema=view.source.schema.arrow)
        return pipeline(batch, known_time=100 * S, buckets=4)

    singly = [run([r]) for r in rows]
    expected = [event for made in singly for event in made.events.to_pylist()]
    counted = {(why, i) for i, made in enumerate(singly) for why in made.refused}

    order = data.draw(st.permutations(range(len(rows))))
    bounds = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    found: dict[int, list[dict[str, Any]]] = {}
    refused: set[tuple[str, int]] = set()
    for a, b in zip([0, *bounds], [*bounds, len(rows)], strict=True):
        made = run([rows[i] for i in order[a:b]])
        some = order[a:b]
        kept = [i for i in some if singly[i].events.num_rows]
        assert [some[at] for at in made.row] == kept, "each event is traced to its row"
        for i, event in zip(kept, made.events.to_pylist(), strict=True):
            found[i] = [event]
        refused |= {(why, some[at]) for why, rows_ in made.refused.items() for at in rows_}
    assert [event for i in range(len(rows)) for event in found.get(i, [])] == expected
    assert refused == counted


def test_null_keys_and_future_events_are_counted_and_left_out() -> None:
    view = make_view(max_future="5min")
    late = 100 * S + 300 * S
    made = run(view, [row(None), row(1, late), row(1, late + 1), row(None, late + 1), row(2)])
    assert made.events.column("user_id").to_pylist() == [1, 2]
    assert counts(made) == {"null key": 2, "future event time": 1}
    assert run(view, [row()]).refused == {}


def test_each_row_may_have_a_known_time_of_its_own() -> None:
    view = make_view(max_future=1, filter="n > 0")
    batch = pa.Table.from_pylist(
        [row(1, 5, n=1), row(2, 5, n=0), row(3, 5, n=1), row(4, 5, n=1)],
        schema=view.source.schema.arrow,
    )
    known = np.array([9, 8, 3, 4])
    made = Pipeline(view)(batch, known_time=known, buckets=1)
    assert made.events.column("user_id").to_pylist() == [1, 4]
    assert made.events.column("_known_time").cast(pa.int64()).to_pylist() == [9, 4]
    assert made.row.tolist() == [0, 3]
    assert {why: at.tolist() for why, at in made.refused.items()} == {"future event time": [2]}


def test_of_a_stream_the_log_says_when_events_became_known() -> None:
    view = make_view(created="made", max_future="1s")
    batch = pa.Table.from_pylist(
        [row(at=5 * S, made=to_datetime(0))], schema=view.source.schema.arrow
    )
    made = Pipeline(view, streamed=True)(batch, known_time=5 * S, buckets=1)
    assert made.events.column("_known_time").cast(pa.int64()).to_pylist() == [5 * S]


def test_rows_without_an_event_time_fail_a_batch_or_are_named() -> None:
    view = make_view()
    rows = [row(1), {**row(2), "at": None}, {**row(None), "at": None}]
    with pytest.raises(SchemaMismatchError, match="2 rows have no event time"):
        run(view, rows)
    batch = pa.Table.from_pylist(rows, schema=view.source.schema.arrow)
    made = Pipeline(view, streamed=True)(batch, known_time=0, buckets=1)
    assert made.events.column("user_id").to_pylist() == [1]
    assert counts(made) == {"no event time": 1, "null key": 1}


def test_a_null_in_any_part_of_a_key_is_a_null_key() -> None:
    source = ns.Source("events", SCHEMA, event_time="at")
    entity = ns.Entity("pair", {"user_id": int, "s": str})
    view = ns.FeatureView("view", entity=entity, source=source, features=["n"])
    made = run(view, [row(s=None), row(None, s="a"), row(s="")])
    assert counts(made) == {"null key": 2}
    assert made.events.column("s").to_pylist() == [""]


def test_the_created_column_is_the_known_time_and_where_null_the_load_time_is() -> None:
    view = make_view(created="made")
    made = run(view, [row(made=to_datetime(7)), row(made=None)])
    assert made.events.column(KNOWN_TIME).to_pylist() == [to_datetime(7), to_datetime(100 * S)]
    assert run(make_view(), [row(made=to_datetime(7))]).events.column(KNOWN_TIME).to_pylist() == [
        to_datetime(100 * S)
    ]


def test_future_is_judged_by_the_created_column() -> None:
    view = make_view(created="made", max_future="1s")
    made = run(view, [row(at=5 * S, made=to_datetime(0)), row(at=S, made=to_datetime(0))])
    assert counts(made) == {"future event time": 1}


def test_the_filter_keeps_what_is_true_and_nothing_else() -> None:
    view = make_view(features=["n"], filter="n > 1 -- null is not true")
    made = run(view, [row(n=1), row(n=None), row(n=2)])
    assert made.events.column("n").to_pylist() == [2]
    assert made.refused == {}


def test_event_ids_are_hashes_of_the_source_column_and_null_stays_null() -> None:
    made = run(make_view(event_id="id"), [row(id="a"), row(id=None), row(id="a"), row(id="b")])
    first, none, again, other = made.events.column(EVENT_ID).to_pylist()
    assert first == again != other
    assert none is None
    assert EVENT_ID not in run(make_view(), [row(id="a")]).events.column_names


def test_the_clocks_and_keys_are_carried_along_where_the_transform_leaves_them_out() -> None:
    made = run(make_view(ns.sql("SELECT s FROM events")), [row(5, 7, s="a")])
    (event,) = made.events.to_pylist()
    assert (event["user_id"], event["s"], event[EVENT_TIME]) == (5, "a", to_datetime(7))
    assert made.events.column_names == ["user_id", "s", EVENT_TIME, KNOWN_TIME, BUCKET]


def test_a_transform_may_move_the_event_time() -> None:
    transform = ns.sql("SELECT s, events.at + INTERVAL 1 SECOND AS at FROM events")
    made = run(make_view(transform), [row(at=0)])
    assert made.events.column(EVENT_TIME).to_pylist() == [to_datetime(S)]


def test_rows_without_an_event_time_are_an_error() -> None:
    with pytest.raises(SchemaMismatchError, match=r"no event time.*'at'"):
        run(make_view(), [{"user_id": 1}])


def test_an_empty_batch_gives_no_events() -> None:
    for transform in TRANSFORMS.values():
        features = ("s",)
        made = run(make_view(transform, features), [])
        assert made.events.num_rows == 0
        assert made.refused == {}


# ---------------------------------------------------------------- counter-examples, once found


def test_a_null_in_the_batch_does_not_make_floats_of_a_pandas_functions_integers() -> None:
    """2^53 + 1 became 2^53 in a batch with a null in the same column."""
    view = make_view(TRANSFORMS["pandas"], ["twice"])
    big = row(n=2**53 + 1, s="a")
    alone = run(view, [big]).events.column("twice").to_pylist()
    together = run(view, [big, row(n=None, s="b")]).events.column("twice").to_pylist()
    assert alone == [2**54 + 2]
    assert together == [2**54 + 2, None]


def test_polars_divides_a_row_alone_as_it_divides_a_column() -> None:
    """x / 3 is x times a third, but for a column of one row: alone, or left over by a filter."""
    view = make_view(TRANSFORMS["polars, a third"], ["third"])
    rows = [row(x=-2.5, s="a", n=1), row(x=7.0, s="b", n=-1), row(x=0.1, s="c", n=-1)]
    together = run(view, [*rows, row(x=3.3, s="d", n=1)]).events.column("third").to_pylist()
    assert run(view, rows).events.column("third").to_pylist() == together[:1]
    assert run(view, rows[:1]).events.column("third").to_pylist() == together[:1]


def test_a_pandas_function_that_sorts_does_not_order_the_events() -> None:
    view = make_view(TRANSFORMS["pandas"], ["s"])
    made = run(view, [row(s=s, n=1) for s in ("b", "c", "a")])
    assert made.events.column("s").to_pylist() == ["b", "c", "a"]


def test_times_that_a_transform_makes_are_checked_too() -> None:
    """DuckDB knows infinite times and years beyond 9999; nothing downstream does."""
    transform = ns.sql("SELECT s, 'infinity'::TIMESTAMPTZ AS at FROM events")
    with pytest.raises(SchemaMismatchError, match="years 1 to 9999"):
        run(make_view(transform), [row(s="a")])


def test_a_comment_at_the_end_of_a_filter_hides_no_parenthesis() -> None:
    assert run(make_view(filter="n = 1 -- one"), [row(n=1)]).events.num_rows == 1


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (functions.failing, "pandas", "KeyError: 'no such thing'"),
        (functions.shortening, "arrow", "2 rows came in and 1 went out"),
        (functions.shortening_polars, "polars", "2 rows came in and 1 went out.*'_row'"),
        (functions.doubling_polars, "polars", "several rows of one"),
        (functions.no_frame, "polars", "expected a DataFrame, got int"),
        (functions.failing, "polars", "KeyError: 'no such thing'"),
        (functions.forgetful, "pandas", "keep the index"),
        (functions.no_frame, "pandas", "expected a DataFrame, got int"),
        (functions.no_frame, "arrow", "expected a pyarrow.Table, got int"),
        (functions.mixed, "pandas", "twice"),
    ],
)
def test_a_function_that_does_not_keep_to_the_rules(function: Any, kind: str, message: str) -> None:
    make = {"pandas": ns.pandas, "polars": ns.polars, "arrow": ns.arrow}[kind]
    view = make_view(make(function, schema=OUT))
    with pytest.raises(TransformError, match=message):
        run(view, [row(s="a"), row(s="b")])


def test_duckdb_failures_on_a_batch_are_transform_errors() -> None:
    view = make_view(ns.sql("SELECT n + 9223372036854775807 AS n FROM events"), ["n"])
    with pytest.raises(TransformError, match="DuckDB failed on a batch"):
        run(view, [row(n=1)])


def test_columns_that_do_not_fit_are_named() -> None:
    batch = pa.table({"user_id": ["one"], "at": [datetime(2020, 1, 1, tzinfo=UTC)]})
    with pytest.raises(SchemaMismatchError, match=r"'user_id'.*expected int64, got string"):
        Pipeline(make_view())(batch, known_time=0, buckets=1)
