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

from noskew.clock import FixedClock
from noskew.errors import CorruptDataError
from noskew.stores.offline import parquet as files
from noskew.stores.offline.parquet import batch_rows
from noskew.testing import reference, strategies
from noskew.training.answer import Answer
from noskew.training.asked import Asking, Buckets
from tests.paths.test_paths_agree import SLOW, acceptable, ingest_in_parts, opened


@contextmanager
def tiny_batches() -> Iterator[None]:
    """Files are written in row groups of 4 rows and read 3 at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "ROW_GROUP_ROWS", 4)
        patch.setattr(files, "_MOST_BATCH", 3)
        patch.setattr(files, "_LEAST_BATCH", 3)
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
    with tiny_batches(), opened(view, FixedClock(0)) as (store, service):
        ingest_in_parts(store, view, facts, cuts)
        if compacted:
            for table in store.offline.tables():
                store.offline.compact(table)
        asked = strategies.rows_to_table(view, case.rows)
        made = store.get_historical_features(asked, service, known_at=known_at).to_arrow()
        expected = reference.historical(view, facts, case.rows, known_at)
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
    answer = Answer({"x": arrow}, 8)
    # Sliced arrays have an offset; some of them no null, some nothing else.
    answer.put(np.array([7, 0]), {"x": array.slice(2)})
    answer.put(np.array([], np.int64), {"x": array.slice(0, 0)})
    answer.put(np.array([3]), {"x": array.slice(1, 1)})
    answer.put(np.array([5, 4]), {"x": array.slice(0, 2)})
    (found,) = answer.finish().values()
    found.validate(full=True)
    place = [3, None, None, 1, 1, 0, None, 2]
    assert found.equals(array.take(pa.array(place, pa.int64())))


def test_an_answer_without_values_is_null() -> None:
    answer = Answer({name: arrow for name, (arrow, _) in VALUES.items()}, 2)
    for name, column in answer.finish().items():
        column.validate(full=True)
        assert column.type == VALUES[name][0]
        assert column.null_count == len(column) == 2


def test_an_answer_of_nulls_only() -> None:
    answer = Answer({"x": pa.int64()}, 2)
    answer.put(np.array([1, 0]), {"x": pa.nulls(2, pa.int64())})
    assert answer.finish()["x"].to_pylist() == [None, None]


def test_rows_are_found_by_bucket_and_key() -> None:
    keys = pa.array([3, None, 1, 3, 2, 1, 3])
    everything: list[int] = []
    for _, rows in Buckets([keys], 3):
        everything += rows.tolist()
        asking = Asking([keys], ["k"], rows)
        held = pa.table({"k": [9, 3, 1]})
        found = asking.of(held)
        for row, entity in zip(found.rows, found.entity, strict=True):
            assert keys[row].as_py() == held.column("k")[entity].as_py()
        rest = asking.rest().tolist()
        assert sorted([*found.rows.tolist(), *rest]) == sorted(rows.tolist())
        assert all(keys[row].as_py() == 2 for row in rest)
    assert sorted(everything) == [0, 2, 3, 4, 5, 6], "the row without a key is in none"
    assert sorted(Buckets([keys], 3).keyed) == sorted(everything)


@pytest.mark.parametrize("held", [[[1, 2], [2]], [[1, 2, 1]]], ids=["slices", "one slice"])
def test_a_key_in_two_places_is_an_error(held: list[list[int]]) -> None:
    """Else the rows would get what one part of the key's events says."""
    keys = pa.array([1, 2])
    asking = Asking([keys], ["k"], np.arange(2))
    for part in held[:-1]:
        asking.of(pa.table({"k": part}))
    with pytest.raises(CorruptDataError, match="not sorted by key"):
        asking.of(pa.table({"k": held[-1]}))


def test_rows_of_no_keys_at_all() -> None:
    keys = pa.nulls(3, pa.int64())
    assert not list(Buckets([keys], 2))
    assert not len(Buckets([keys], 2).keyed)


def test_batches_shrink_with_columns_and_files() -> None:
    """What is held of all files together stays the same, down to batches too small to be fast."""
    assert batch_rows(12, 1) == 87_381
    assert batch_rows(12, 8) == 10_922
    assert batch_rows(1, 1) == files.ROW_GROUP_ROWS
    assert batch_rows(1_000, 1_000) == 1_024
