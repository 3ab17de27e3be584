"""Events: recognised as sorted, put in order, or trusted to be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from noskew.kernel.events import EVENT_TIME, KNOWN_TIME, SEQUENCE, Events

TABLE = pa.table(
    {
        "k": ["b", "a", "b", "a", "a"],
        EVENT_TIME: [5, 2, 5, 1, 3],
        KNOWN_TIME: [9, 9, 8, 9, 9],
        SEQUENCE: [0, 1, 2, 3, 4],
        "v": [10, 11, None, 13, 14],
    }
)


def test_columns_are_put_in_order_when_they_are_asked_for() -> None:
    events = Events.from_table(TABLE, ["k"])
    assert events.keys.column("k").to_pylist() == ["b", "a"]
    assert events.event_time.tolist() == [5, 5, 1, 2, 3]
    at = pa.array([0, None, 1, 4])
    assert events.pick("v", at).to_pylist() == [None, None, 10, 14]
    assert events.column("v").to_pylist() == [None, 10, 13, 11, 14]
    assert events.pick("v", at).to_pylist() == [None, None, 10, 14], "as from the ordered column"
    assert events.table.column("v").to_pylist() == [None, 10, 13, 11, 14]


@pytest.mark.parametrize("table", [TABLE, TABLE.take([2, 0, 3, 1, 4])], ids=["mixed", "sorted"])
def test_a_selection_keeps_the_order(table: pa.Table) -> None:
    events = Events.from_table(table, ["k"]).select(np.array([False, True, False, True, False]))
    assert events.offsets.tolist() == [0, 1, 2]
    assert events.event_time.tolist() == [5, 2]
    assert (events.known_time.tolist(), events.sequence.tolist()) == ([9, 9], [0, 1])
    assert events.column("v").to_pylist() == [10, 11]
    assert events.pick("v", pa.array([1, None])).to_pylist() == [11, None]


def test_a_table_without_sequence_is_in_order_as_it_is() -> None:
    table = TABLE.take([2, 0, 3, 1, 4]).drop_columns([KNOWN_TIME, SEQUENCE])
    events = Events.from_table(table, ["k"])
    assert events.offsets.tolist() == [0, 2, 5]
    assert events.pick("v", pa.array([1, 0])).to_pylist() == [10, None]
    kept = events.select(np.array([True, False, False, False, True]))
    assert kept.event_time.tolist() == [5, 3]
    for clock in ("known_time", "sequence"):
        with pytest.raises(AssertionError, match=clock):
            getattr(kept, clock)
    with_known = TABLE.take([2, 0, 3, 1, 4]).drop_columns([SEQUENCE])
    assert Events.from_table(with_known, ["k"]).known_time.tolist() == [8, 9, 9, 9, 9]
