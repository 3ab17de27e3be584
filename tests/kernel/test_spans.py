"""Spans of events: what a bisection finds is what comparing every event finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from noskew.kernel.spans import mark, spans


@given(
    times=st.lists(st.lists(st.integers(-5, 5), max_size=6).map(sorted), min_size=1, max_size=5),
    least=st.integers(-7, 7),
    most=st.integers(-7, 7),
    data=st.data(),
)
def test_spans_are_the_events_between(
    times: list[list[int]], least: int, most: int, data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(times) - 1)).map(sorted))
    flat = np.array([t for part in times for t in part], np.int64)
    counts = [len(part) for part in times]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    starts, ends = spans(flat, offsets, np.array(chosen, np.int64), least, most)
    owner = np.repeat(np.arange(len(times)), counts)
    expected = np.isin(owner, chosen) & (flat >= least) & (flat <= most)
    found = np.zeros(len(flat), bool)
    mark(starts, ends, found)
    assert found.tolist() == expected.tolist()
    assert len(starts) == len(set(chosen)), "an entity that is named twice counts once"
    assert int(np.maximum(ends - starts, 0).sum()) == expected.sum()
