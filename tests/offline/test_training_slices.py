"""Training sets made slice by slice: values, places and memory do not depend on the slices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.clock import FixedClock, to_datetime
from noskew.errors import CorruptDataError
from noskew.stores.offline import EVENT_TIME, KNOWN_TIME, SEQUENCE, IcebergStore
from noskew.stores.offline import parquet as files
from noskew.stores.offline import slices as run_slices
from noskew.stores.offline.parquet import batch_rows
from noskew.testing import reference, strategies
from noskew.training.answer_columns import AnswerColumns
from noskew.training.row_lookup import RowBuckets, RowLookup
from tests.paths.test_paths_agree import SLOW, acceptable, ingest_in_parts, opened


@contextmanager
def tiny_batches() -> Iterator[None]:
    """Files are written in row groups of 4 rows and read 3 at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "ROW_GROUP_ROWS", 4)
        patch.setattr(files, "_MOST_BATCH", 3)
        patch.setattr(files, "_LEAST_BATCH", 3)
        patch.setattr(run_slices, "_WORTH_WHILE", 3)
        yield


@SLOW
@given(
    case=strategies.cases(max_facts=40),
    cuts=st.lists(st.integers(1, 39), max_size=3),
    compacted=st.booleans(),
    data=st.data(),
)
def test_slices_give_what_the_reference_gives(
    case: Any, cuts: list[int], compacted: bool, data: st.DataObject
) -> None:
    view, facts = case.view, acceptable(case.view, case.facts)
    known_at = data.draw(strategies.known_ats(facts))
    moment = to_datetime(known_at) if isinstance(known_at, int) else known_at
    with tiny_batches(), opened(view, FixedClock(0)) as (store, service):
        ingest_in_parts(store, view, facts, cuts)
        if compacted:
            for table in store.offline.tables():
                store.offline.compact(table)
        asked = strategies.rows_to_table(view, case.rows)
        made = store.get_historical_features(asked, service, known_at=moment).to_arrow()
        expected = reference.naive_historical(view, facts, case.rows, known_at)
        strategies.assert_same(expected, made, view, rows=case.rows, facts=facts)


VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "int8": (pa.int8(), [1, None, -128, 127]),
    "int64": (pa.int64(), [1, None, -(2**63), 2**63 - 1]),
    "float32": (pa.float32(), [1.5, None, -0.0, float("inf")]),
    "float64": (pa.float64(), [0.1, None, -0.0, float("inf")]),
    "date": (pa.date32(), [0, None, -5, 7]),
    "time": (pa.timestamp("us", "UTC"), [0, None, -(2**62), 2**62]),
    "bool": (pa.bool_(), [True, None, False, True]),
    "string": (pa.string(), ["", None, "a", "é"]),
    "bytes": (pa.binary(), [b"", None, b"\x00", b"a"]),
    "decimal": (pa.decimal128(5, 2), [Decimal("1.25"), None, Decimal("-3.50"), Decimal(0)]),
    "list": (pa.list_(pa.int64()), [[], None, [1, None], [2]]),
    "vector": (pa.list_(pa.float32(), 2), [[1, 2], None, [3, 4], [5, 6]]),
}


@pytest.mark.parametrize("kind", VALUES)
def test_an_answer_puts_values_of_every_type_where_they_belong(kind: str) -> None:
    arrow, values = VALUES[kind]
    array = pa.array(values, arrow)
    # Row 5 is the first place, row 2 the second, and so on.
    order = np.array([5, 2, 7, 0, 1, 6, 3, 4])
    answer = AnswerColumns({"x": arrow}, order)
    # Sliced arrays have an offset; some of them no null, some nothing else.
    answer.put(np.array([7, 0]), {"x": array.slice(2)})
    answer.put(np.array([], np.int64), {"x": array.slice(0, 0)})
    answer.put(np.array([3]), {"x": array.slice(1, 1)})
    answer.put(np.array([5, 4]), {"x": array.slice(0, 2)})
    (found,) = answer.finish().values()
    found.validate(full=True)
    in_places = np.array([3, -1, -1, 1, 1, 0, -1, 2])
    in_rows = np.empty(8, np.int64)
    in_rows[order] = in_places
    assert found.equals(array.take(pa.array(in_rows, mask=in_rows < 0)))


def test_an_answer_without_values_is_null() -> None:
    answer = AnswerColumns({name: arrow for name, (arrow, _) in VALUES.items()}, np.array([1, 0]))
    for name, column in answer.finish().items():
        column.validate(full=True)
        assert column.type == VALUES[name][0]
        assert column.null_count == len(column) == 2


def test_an_answer_of_nulls_only() -> None:
    answer = AnswerColumns({"x": pa.int64()}, np.array([0, 1]))
    answer.put(np.array([1, 0]), {"x": pa.nulls(2, pa.int64())})
    assert answer.finish()["x"].to_pylist() == [None, None]


def test_rows_are_found_by_bucket_and_key() -> None:
    keys = pa.array([3, None, 1, 3, 2, 1, 3])
    everything: list[int] = []
    buckets = RowBuckets([keys], 3)
    for _, first, rows in buckets:
        assert rows.tolist() == buckets.order[first : first + len(rows)].tolist()
        assert rows.tolist() == sorted(rows)
        everything += rows.tolist()
        asking = RowLookup([keys], ["k"], rows)
        held = pa.table({"k": [9, 3, 1]})
        found = asking.of(held)
        for row, entity in zip(found.rows, found.entity, strict=True):
            assert keys[rows[row]].as_py() == held.column("k")[entity].as_py()
        rest = asking.rest().tolist()
        assert sorted([*found.rows.tolist(), *rest]) == list(range(len(rows)))
        assert all(keys[rows[row]].as_py() == 2 for row in rest)
    assert sorted(everything) == [0, 2, 3, 4, 5, 6], "the row without a key is in none"
    assert buckets.keyed.tolist() == everything
    assert buckets.order.tolist() == [*everything, 1], "rows without a key come last"


@pytest.mark.parametrize("held", [[[1, 2], [2]], [[1, 2, 1]]], ids=["slices", "one slice"])
def test_a_key_in_two_places_is_an_error(held: list[list[int]]) -> None:
    """Else the rows would get what one part of the key's events says."""
    keys = pa.array([1, 2])
    asking = RowLookup([keys], ["k"], np.arange(2))
    for part in held[:-1]:
        asking.of(pa.table({"k": part}))
    with pytest.raises(CorruptDataError, match="not sorted by key"):
        asking.of(pa.table({"k": held[-1]}))


def test_rows_of_no_keys_at_all() -> None:
    keys = pa.nulls(3, pa.int64())
    assert not list(RowBuckets([keys], 2))
    assert not len(RowBuckets([keys], 2).keyed)


def test_batches_shrink_with_columns_and_files() -> None:
    """What is held of all files together stays the same, down to batches too small to be fast."""
    number = pa.float64()
    assert batch_rows([number] * 12, 1) == 43_690
    assert batch_rows([number] * 12, 8) == 5_461
    assert batch_rows([number], 1) == batch_rows([pa.bool_()], 1) == 98_304
    assert batch_rows([number] * 1_000, 1_000) == 1_024


def test_batches_shrink_with_the_width_of_values() -> None:
    """Or a few vectors would take as much memory as a thousand numbers."""
    vector, text = pa.list_(pa.float32(), 128), pa.string()
    assert batch_rows([vector], 1) == batch_rows([pa.float64()] * 64, 1) == 8_192
    assert batch_rows([text] * 12, 1) == 4 * 2**20 // (24 * 12)
    assert batch_rows([pa.decimal128(20, 2)] * 12, 1) == 4 * 2**20 // (16 * 12)


def clocks_read(monkeypatch: pytest.MonkeyPatch, features: list[Any], **asked: Any) -> set[str]:
    """The system columns that a training set of one view reads, beside the event time."""
    source = ns.Source("s", {"k": int, "t": "timestamp", "x": float}, event_time="t")
    entity = ns.Entity("e", keys={"k": int})
    view = ns.FeatureView("v", entity=entity, source=source, features=features, online=False)
    seen: list[str] = []
    scan = IcebergStore.scan

    def watched(self: Any, table: str, columns: Any, **more: Any) -> Any:
        seen.extend(columns)
        return scan(self, table, columns, **more)

    monkeypatch.setattr(IcebergStore, "scan", watched)
    rows = pa.table({"k": [1, 2], "t": pa.array([50, 50], pa.timestamp("us", "UTC"))})
    with opened(view, FixedClock(0)) as (store, service):
        store.ingest("s", rows.append_column("x", pa.array([1.0, 2.0])))
        made = store.get_historical_features(rows, service, event_time="t", **asked)
        assert len(made.to_arrow()) == 2
    return {c for c in seen if c.startswith("_")} - {EVENT_TIME}


def test_clocks_are_read_only_where_ties_or_knowledge_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = [
        ns.count(window="1h"),
        ns.mean("x", window="1h"),
        ns.var("x", window="1h"),
        ns.max("x", window="1h"),
        ns.quantile("x", q=0.5, window="1h"),
        ns.count_distinct("x", window="1h"),
        ns.top_n("x", n=2, window="1h"),
    ]
    assert clocks_read(monkeypatch, free) == set()
    assert clocks_read(monkeypatch, free, known_at="row") == {KNOWN_TIME}
    assert clocks_read(monkeypatch, [*free, ns.last_value("x", window="1h")]) == {
        KNOWN_TIME,
        SEQUENCE,
    }
