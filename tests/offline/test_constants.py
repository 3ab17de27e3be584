"""Columns of one value are known as such, bit for bit, and come back from a spool as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from noskew.stores.offline.base import BUCKET, SEQUENCE
from noskew.stores.offline.constants import constant, permuted
from noskew.stores.offline.spool import BucketSpool

NAN = np.array([0x7FF8_0000_0000_0001], np.uint64).view(np.float64)[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([7] * 40, pa.int64()),
        ([7] * 40, pa.int8()),
        ([None] * 40, pa.string()),
        ([None] * 3, pa.list_(pa.int64())),
        ([-0.0] * 5, pa.float64()),
        ([1.5], pa.float32()),
        ([3] * 9, pa.timestamp("us", "UTC")),
        ([3] * 9, pa.date32()),
    ],
)
def test_one_value(values: list[Any], kind: pa.DataType) -> None:
    column = pa.chunked_array([pa.array(values, kind), pa.array(values, kind)]).slice(1)
    found = constant(column)
    assert found is not None
    assert pa.repeat(found, len(column)).equals(column.combine_chunks())


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([7] * 39 + [8], pa.int64()),
        ([7] * 20 + [None] + [7] * 19, pa.int64()),
        ([0.0, -0.0], pa.float64()),
        (["a", "a"], pa.string()),
        ([], pa.int64()),
    ],
)
def test_several_values_or_none_to_tell(values: list[Any], kind: pa.DataType) -> None:
    assert constant(pa.chunked_array([pa.array(values, kind)])) is None


def test_a_nan_keeps_its_bits() -> None:
    found = constant(pa.chunked_array([np.array([NAN, NAN])]))
    assert pa.repeat(found, 2).to_numpy().view(np.uint64).tolist() == [0x7FF8_0000_0000_0001] * 2


def test_rows_in_another_order() -> None:
    table = pa.table({"a": [1, 2, 3], "one": [5, 5, 5], "none": pa.nulls(3, pa.string())})
    moved = permuted(table, np.array([2, 0, 1]))
    assert moved.to_pydict() == {"a": [3, 1, 2], "one": [5, 5, 5], "none": [None] * 3}
    assert moved.schema == table.schema


@pytest.mark.parametrize("memory", [1, 1 << 20])
@pytest.mark.parametrize("rows", [1, 50])
def test_a_spool_gives_back_what_it_was_given(tmp_path: Path, memory: int, rows: int) -> None:
    """What is constant in some of what is spilled need not be so in the rest."""
    schema = pa.schema(
        {
            BUCKET: pa.int32(),
            SEQUENCE: pa.int64(),
            "text": pa.string(),
            "lists": pa.list_(pa.int8()),
            "x": pa.float64(),
        }
    )
    spool = BucketSpool(schema, 3, tmp_path, memory_bytes=memory)
    given = []
    for start, text, x in ((0, None, NAN), (rows, "a", 0.5), (2 * rows, None, NAN)):
        columns = {
            BUCKET: np.arange(rows) % 3 if rows > 1 else [2],
            SEQUENCE: np.arange(start, start + rows),
            "text": [text] * rows,
            "lists": [None if text is None else [1]] * rows,
            "x": [x] * rows,
        }
        given.append(pa.table({n: pa.array(v, schema.field(n).type) for n, v in columns.items()}))
        spool.add(given[-1].to_batches()[0])
    spool.finish()
    table = pa.concat_tables(given)
    for bucket in range(3):
        found = spool.bucket(bucket).combine_chunks()
        expected = table.filter(pa.compute.equal(table.column(BUCKET), bucket)).combine_chunks()
        assert found.drop_columns(["x"]).equals(expected.drop_columns(["x"]))
        bits = (t.column("x").to_numpy().view(np.uint64).tolist() for t in (found, expected))
        assert next(bits) == next(bits)
    spool.close()
