"""The one window boundary. Times are seconds where a timeline is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noskew.kernel import bounds
from noskew.kernel.as_of import upper_bounds
from noskew.kernel.jit import kernel

S = 1_000_000
times = st.integers(-(2**60), 2**60)
hops = st.sampled_from([1, 2, 7, S, 60 * S, 86_400 * S])


#  hop 10        0         10        20        30        40
#  ──────────────┤─────────├─────────├─────────├─────────├──────
#  window 20 at 35:        (·····························]         from ⌊15/10⌋·10 = 10
#  window 20 at 40:                  (···················]         from 20, aligned
#  window 20 at 40+1 µs:             (····················]        from ⌊20.000001/10⌋·10 = 20
@pytest.mark.parametrize(
    ("t", "start"),
    [
        (35 * S, 10 * S),
        (40 * S, 20 * S),
        (40 * S + 1, 20 * S),
        (40 * S - 1, 10 * S),
        (0, -20 * S),
        (1, -20 * S),
        (-1, -30 * S),
        (-10 * S, -30 * S),
        (-10 * S - 1, -40 * S),
    ],
)
def test_window_start(t: int, start: int) -> None:
    assert bounds.window_start(t, 20 * S, 10 * S) == start


#  tile −1   ]   tile 0    ]   tile 1    ]
#  ──────────├─────────────├─────────────├─────
#            0             10            20        an event at 10 is the last of tile 0
@pytest.mark.parametrize(
    ("event", "tile"),
    [
        (0, -1),
        (1, 0),
        (10 * S, 0),
        (10 * S + 1, 1),
        (20 * S, 1),
        (-1, -1),
        (-10 * S, -2),
        (-10 * S + 1, -1),
    ],
)
def test_tile_of(event: int, tile: int) -> None:
    assert bounds.tile_of(event, 10 * S) == tile


@given(times, hops)
def test_a_tile_is_left_open_and_right_closed(event: int, hop: int) -> None:
    k = bounds.tile_of(event, hop)
    assert k * hop < event <= (k + 1) * hop


@given(times, hops, st.integers(1, 1_000), st.integers(-3, 3), st.integers(-1, 1))
def test_a_window_is_whole_tiles(t: int, hop: int, n: int, k: int, beside: int) -> None:
    """An event is after the start of a window exactly if its tile is the first or a later one."""
    window = n * hop
    start = bounds.window_start(t, window, hop)
    assert window <= t - start < window + hop
    event = start + k * hop + beside
    inside = bounds.tile_of(event, hop) >= bounds.first_tile(t, window, hop)
    assert inside == (event > start)


@given(times, st.integers(1, 10**12))
def test_an_exact_window_is_as_long_as_it_says(t: int, window: int) -> None:
    assert bounds.window_start(t, window, 1) == t - window


@kernel
def _compiled(t: np.ndarray, window: int, hop: int) -> np.ndarray:
    out = np.empty((len(t), 2), np.int64)
    for i in range(len(t)):
        out[i, 0] = bounds.window_start_at(t[i], window, hop)
        out[i, 1] = bounds.tile_of_at(t[i], hop)
    return out


@given(st.lists(times, min_size=1), hops, st.integers(1, 10**12))
def test_integers_arrays_and_compiled_code_agree(t: list[int], hop: int, window: int) -> None:
    array = np.array(t, np.int64)
    starts = [bounds.window_start(x, window, hop) for x in t]
    tiles = [bounds.tile_of(x, hop) for x in t]
    assert bounds.window_start(array, window, hop).tolist() == starts
    assert bounds.tile_of(array, hop).tolist() == tiles
    assert _compiled(array, window, hop).T.tolist() == [starts, tiles]


@given(st.lists(st.integers(-5, 5)), st.lists(st.integers(-6, 6), min_size=1))
def test_upper_bounds_count_what_is_not_after(events: list[int], asked: list[int]) -> None:
    events = sorted(events)
    n = len(asked)
    found = upper_bounds(
        np.array(events, np.int64),
        np.zeros(n, np.int64),
        np.full(n, len(events)),
        np.array(asked),
    )
    assert found.tolist() == [sum(e <= t for e in events) for t in asked]


@given(
    st.lists(st.lists(st.integers(-200, 200), max_size=30), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-210, 210)), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(1, 300), st.sampled_from([1, 2, 7, 60, 250])), max_size=4),
)
def test_window_starts_are_where_the_events_inside_begin(
    entities: list[list[int]], rows: list[tuple[int, int]], windows: list[tuple[int, int]]
) -> None:
    """Windows in any order of width and hop, several entities beside each other."""
    events = [sorted(e) for e in entities]
    offsets = np.cumsum([0, *map(len, events)])
    times = np.array([x for e in events for x in e], np.int64)
    at = np.array([e % len(events) for e, _ in rows])
    t = np.array([x for _, x in rows], np.int64)
    lo, end = offsets[at], offsets[at + 1]
    hi = upper_bounds(times, lo, end, t)
    asked = np.array(windows, np.int64).reshape(-1, 2)
    found = bounds.window_starts(times, lo, hi, t, asked)
    for (window, hop), starts in zip(windows, found.tolist(), strict=True):
        for i, start in enumerate(starts):
            edge = bounds.window_start(int(t[i]), window, hop)
            before = sum(x <= min(edge, int(t[i])) for x in events[at[i]])
            assert start == lo[i] + before
