"""Events: recognised as sorted, put in order, or trusted to be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from noskew.clock import MAX_TIME, MIN_TIME
from noskew.kernel.events import EVENT_ID, EVENT_TIME, KNOWN_TIME, SEQUENCE, Events

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


def kept(horizon: int, *events: tuple[int, int, int | None]) -> list[int]:
    """The sequences that are kept of events of one entity: (known time, sequence, id)."""
    known, sequence, ids = zip(*events, strict=True)
    events_of = Events.from_table(identified(known, sequence, ids), ["k"], id_horizon=horizon)
    return sorted(events_of.sequence.tolist())


def identified(
    known: Sequence[int], sequence: Sequence[int], ids: Sequence[int | None]
) -> pa.Table:
    """Events that happened in the reverse of the order in which they are given."""
    return pa.table(
        {
            "k": ["a"] * len(ids),
            EVENT_TIME: np.arange(len(ids))[::-1],
            KNOWN_TIME: np.array(known, np.int64),
            SEQUENCE: np.array(sequence, np.int64),
            EVENT_ID: pa.array(ids, pa.int64()),
        }
    )


def test_a_repetition_is_measured_from_the_last_event_that_counts() -> None:
    times = [0, 10, 11, 20, 21, 32, 42]
    events = [(known, i, 7) for i, known in enumerate(times)]
    assert kept(10, *events) == kept(10, *events[::-1]) == [0, 2, 5]
    assert kept(9, *events) == [0, 1, 3, 5, 6]
    assert kept(42, *events) == [0]
    assert kept(41, *events) == [0, 6]


def test_of_events_known_at_one_time_the_first_in_sequence_counts() -> None:
    assert kept(0, (5, 3, 7), (5, 1, 7), (5, 2, 7), (6, 0, 7)) == [0, 1]
    # The one in between is told apart by its id alone, whatever the order of ids.
    assert kept(0, (5, 3, 7), (5, 2, -9), (5, 1, 7)) == [1, 2]


def test_null_ids_are_judged_by_nothing() -> None:
    assert kept(9, (0, 0, None), (0, 1, None), (0, 2, 0), (0, 3, 0)) == [0, 1, 2]
    assert kept(9, (0, 0, None), (0, 1, None)) == [0, 1]


@pytest.mark.parametrize("horizon", [MAX_TIME - MIN_TIME, 2**63 - 1, 2**63, 2**64, 10**30])
def test_a_horizon_longer_than_the_calendar_never_ends(horizon: int) -> None:
    events = [(MIN_TIME, 0, 7), (0, 1, 7), (MAX_TIME, 2, 7)]
    assert kept(horizon, *events) == [0]
    assert kept(MAX_TIME - MIN_TIME - 1, *events) == [0, 2]


def test_entities_share_no_ids() -> None:
    """The same id in runs that alternate: an entity's events may stand apart in the table."""
    table = identified([0, 0, 5, 5, 6, 6], range(6), [7] * 6)
    table = table.set_column(0, "k", pa.array(["a", "b"] * 3))
    events = Events.from_table(table, ["k"], id_horizon=5)
    assert events.keys.column("k").to_pylist() == ["a", "b"]
    assert events.sequence.tolist() == [4, 0, 5, 1], "6 is more than 5 after 0, and 5 is not"


def test_ids_without_a_horizon_are_refused() -> None:
    with pytest.raises(AssertionError, match="event_id_horizon"):
        Events.from_table(identified([0], [0], [7]), ["k"])
