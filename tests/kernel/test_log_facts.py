"""Which facts of a log count, and in which order, against a naive statement of the rule."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from noskew.addresses import origin_of
from noskew.kernel.log_facts import (
    LogFacts,
    offset_in_log,
    place_in_log,
    sequence_in_log,
)

LOG = "a"
#: Of another log whose identity begins like that of this one, too.
LOGS = [LOG, LOG, "b", f"{LOG}:0", f"{LOG}{LOG}"]
#: (origin, offset, place) of a fact; the first is None for one that was ingested.
Fact = tuple[str | None, int | None, int | None]

ingested = st.just((None, None, None))
of_a_log = st.tuples(
    st.builds(origin_of, st.sampled_from(LOGS), st.sampled_from([0, 1, 2, 10])),
    st.sampled_from([0, 1, 2, 3, 1 << 40]),
    st.sampled_from([0, 1, (1 << 20) - 1]),
)
facts_of_a_table = st.lists(st.one_of(ingested, of_a_log), max_size=12)
bounds_of_a_row = st.lists(st.integers(0, 4), min_size=1, max_size=3)


def naive_counts(fact: Fact, arrived: int, history: int, bounds: list[int]) -> bool:
    origin, offset, _ = fact
    for partition, bound in enumerate(bounds):
        if origin == f"{LOG}:{partition}":
            assert offset is not None
            return offset < bound
    if origin is not None and origin.rpartition(":")[0] == LOG:
        return False
    return arrived <= history


def naive_position(fact: Fact, arrived: int) -> tuple[int, int, int]:
    origin, offset, place = fact
    if origin is None or origin.rpartition(":")[0] != LOG:
        return (0, arrived, 0)
    assert offset is not None
    assert place is not None
    return (1, offset, place)


def table_of(facts: list[Fact]) -> pa.Table:
    """The system columns of facts, which arrived one after the other."""
    origin, offset, place = zip(*facts, strict=True) if facts else ((), (), ())
    return pa.table(
        {
            "_sequence": pa.array(range(len(facts)), pa.int64()),
            "_origin": pa.array(origin, pa.string()),
            "_offset": pa.array(offset, pa.int64()),
            "_place": pa.array(place, pa.int32()),
        }
    )


@given(facts=facts_of_a_table, history=st.integers(-1, 12), bounds=bounds_of_a_row)
@example(facts=[(f"{LOG}:0:1", 0, 0)], history=0, bounds=[4, 4])
def test_facts_count_as_the_rule_says(facts: list[Fact], history: int, bounds: list[int]) -> None:
    counts = LogFacts.of(table_of(facts), LOG).counts(history, np.array(bounds, np.int64))
    expected = [naive_counts(fact, at, history, bounds) for at, fact in enumerate(facts)]
    assert counts.tolist() == expected


@given(facts=facts_of_a_table, history=st.integers(-1, 12), data=st.data())
def test_each_row_has_bounds_of_its_own(
    facts: list[Fact], history: int, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
    pair = st.tuples(st.integers(0, max(len(facts) - 1, 0)), st.integers(0, len(rows) - 1))
    pairs = data.draw(st.lists(pair)) if facts else []
    at, row = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    counts = LogFacts.of(table_of(facts), LOG).take(at).counts(history, np.array(rows), row)
    expected = [naive_counts(facts[a], a, history, list(rows[r])) for a, r in pairs]
    assert counts.tolist() == expected


@given(facts=facts_of_a_table)
def test_facts_of_no_log_come_first_and_then_each_log_as_it_is(facts: list[Fact]) -> None:
    sequence = LogFacts.of(table_of(facts), LOG).sequence()
    # Of two partitions nothing is said: their events are told apart by their known times.
    by_number = sorted(range(len(facts)), key=lambda at: (int(sequence[at]), at))
    by_rule = sorted(range(len(facts)), key=lambda at: (naive_position(facts[at], at), at))
    assert by_number == by_rule


@given(offset=st.integers(0, (1 << 43) - 1), place=st.integers(0, (1 << 20) - 1))
def test_a_sequence_gives_its_offset_and_place_back(offset: int, place: int) -> None:
    sequence = sequence_in_log(np.array([offset]), np.array([place]))
    assert offset_in_log(sequence).tolist() == [offset]
    assert place_in_log(sequence).tolist() == [place]
    assert sequence[0] >= 0
