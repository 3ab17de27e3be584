"""Types at the border of Spark, without Spark."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from noskew.kernel.bits import differences
from noskew.runners.spark.border import enter, leave
from noskew.testing import strategies
from noskew.types import dtype

KINDS = ["vector<float32, 2>", "vector<int16, 1>", "vector<string, 3>", "list<string>", "int8"]


@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_what_enters_leaves_as_it_was(data: st.DataObject, kind: str) -> None:
    """Also a part of an array, and with nulls, which is where casts go wrong."""
    declared = dtype(kind)
    values = data.draw(st.lists(st.none() | strategies.values(declared), max_size=6))
    whole = pa.array(values, declared.to_arrow())
    start = data.draw(st.integers(0, len(values)))
    table = pa.table({"v": pa.chunked_array([whole.slice(start), whole], whole.type)})
    entered = enter(table)
    assert not pa.types.is_fixed_size_list(entered.schema.field("v").type)
    assert repr(entered["v"].to_pylist()) == repr(table["v"].to_pylist())
    for cut in (entered, entered.slice(start), entered.combine_chunks().slice(start)):
        left = leave(cut, table.schema)
        left.validate(full=True)
        assert differences(left, table.slice(len(table) - len(cut))) == {}


def test_times_leave_in_their_own_zone() -> None:
    zoned = pa.table({"t": pa.array([0, -1], pa.timestamp("us", "America/New_York")), "u": [1, 2]})
    left = leave(zoned, pa.schema([("t", pa.timestamp("us", "UTC"))]))
    assert left["t"].cast(pa.int64()).to_pylist() == [0, -1]
    assert left.column_names == ["t"]
