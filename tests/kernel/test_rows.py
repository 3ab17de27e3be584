"""Packed rows: bytes as documented, small enough, and safe to read whatever has become of them."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.definitions.view import FeatureView
from noskew.errors import CorruptDataError
from noskew.kernel.plan import compile_view
from noskew.kernel.rows.codec import (
    FORMAT,
    RowLayout,
    pack_rows,
    unpack_rows,
    version_bytes,
    version_of,
)
from noskew.kernel.state import finalise, fold, merge
from noskew.testing.reference import Fact
from noskew.testing.strategies import Case, cases
from tests.kernel.paths import USER, events_of, fact, make_view

S = 1_000_000
VERSION = version_bytes(7, 9)


def packed(view: FeatureView, facts: Sequence[Fact], horizon: int) -> list[bytes]:
    plan = compile_view(view)
    state = fold(plan, events_of(view, facts), horizon)
    return pack_rows(RowLayout(plan), state, VERSION).to_list()


def read(view: FeatureView, rows: Sequence[bytes | None], t: int) -> dict[str, list[Any]]:
    """Everything that is done with rows, so that what they say is used."""
    plan = compile_view(view)
    layout = RowLayout(plan)
    state = unpack_rows(layout, rows)
    found = finalise(plan, state, np.full(len(rows), t))
    at = np.arange(len(rows))[::-1].copy()
    merged = merge(plan, [(state, at), (unpack_rows(layout, rows), at)], len(rows), t)
    finalise(plan, merged, np.full(len(rows), t))
    pack_rows(layout, merged, VERSION)
    pack_rows(layout, state, VERSION)
    for column in found.values():
        column.validate(full=True)
    return {name: column.to_pylist() for name, column in found.items()}


# ---------------------------------------------------------------------------------- layout


def test_versions_sort_as_bytes_and_come_back() -> None:
    versions = [(-(2**62), 0), (-1, 5), (0, 0), (0, 1), (1, 0), (2**62, 2**63)]
    coded = [version_bytes(*v) for v in versions]
    assert coded == sorted(coded)
    assert [version_of(c) for c in coded] == versions
    assert version_bytes(0, 1).hex() == "8000000000000000" + "0000000000000001"


def test_a_row_of_latest_values_byte_for_byte() -> None:
    view = make_view(ns.latest("x"), ns.latest("small"), ns.latest("ok"), ns.latest("day"))
    (row,) = packed(view, [fact(1_000, x=-2.5, small=-2, ok=True, day=None)], 2_000)
    assert row == (
        VERSION
        + bytes([FORMAT, 1])
        + struct.pack("<q", 1_000)
        + bytes([0b1000])  # nulls: the fourth column
        + struct.pack("<d", -2.5)
        + struct.pack("<b", -2)
        + b"\x01"
        + struct.pack("<i", 0)
    )


def test_a_row_of_strings_byte_for_byte() -> None:
    view = make_view(ns.latest("s"), ns.latest("n"))
    (row,) = packed(view, [fact(5, s="é", n=3)], 5)
    head = VERSION + bytes([FORMAT, 1]) + struct.pack("<qBq", 5, 0, 3)
    assert row == head + b"\x01" + struct.pack("<I", 2) + "é".encode()


def test_a_row_of_windows_byte_for_byte() -> None:
    view = make_view(ns.sum("n", window="1h", hop="1min"), ns.count())
    minute = 60 * S
    facts = [fact(1, n=2), fact(minute + 1, sequence=1, n=300), fact(minute + 2, sequence=2)]
    (row,) = packed(view, facts, 2 * minute)
    count = "01000000" + "00000100 03"  # without a window: one tile; a block of one byte
    tiles = (
        "02000000"  # two tiles
        + "0000000000000000"  # the first is number 0
        + "00000100 00 01"  # the steps: the second is one further
        + "00000100 01 01"  # counts of n that are not null
        + "00000200 0200 2c01"  # sums, in two bytes each
        + "00"  # nothing but finite numbers
    )
    newest = struct.pack("<q", minute + 2).hex()
    assert row.hex() == VERSION.hex() + "0101" + newest + (count + tiles).replace(" ", "")


def test_an_entity_of_nulls_alone_differs_from_none_at_all() -> None:
    view = make_view(ns.latest("x"), ns.count("x"), ns.count())
    (row,) = packed(view, [fact(1)], 1)
    assert read(view, [row, None], 1) == {
        "x": [None, None],
        "x_count": [0, 0],
        "count": [1, 0],
    }
    assert row[17] & 1


@pytest.mark.parametrize(("features", "most"), [(10, 108), (50, 444)])
def test_bytes_per_row_fit_the_size_classes_of_redis(features: int, most: int) -> None:
    """Redis keeps a value in 112 or 448 bytes with its own four, so ours stay below."""
    names = [f"c{i}" for i in range(features)]
    schema = {"user_id": int, "at": "timestamp", **dict.fromkeys(names, float)}
    source = ns.Source("events", schema, event_time="at")
    view = ns.FeatureView("view", entity=USER, source=source, features=names)
    (row,) = packed(view, [fact(5, **dict.fromkeys(names, 0.1))], 5)
    assert len(row) <= most
    assert len(row) == 16 + 1 + 1 + 8 + (features + 7) // 8 + 8 * features


# ---------------------------------------------------------------------------------- damage


def flip(row: bytes, chance: random.Random) -> bytes:
    changed = bytearray(row)
    for _ in range(chance.choice([1, 1, 2, 8])):
        # Not the version: any version is a version.
        at = chance.randrange(16, len(row))
        changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwrite(row: bytes, chance: random.Random) -> bytes:
    """Counts and lengths that are far too large, or negative where they have a sign."""
    at = chance.randrange(17, len(row))
    size = chance.choice([1, 2, 4, 8])
    return (row[:at] + chance.choice([b"\xff", b"\x7f", b"\x80", b"\0"]) * size + row[at:])[
        : chance.choice([len(row), len(row) + size])
    ]


def cut(row: bytes, chance: random.Random) -> bytes:
    return row[: chance.randrange(1, len(row))]


def lengthen(row: bytes, chance: random.Random) -> bytes:
    return row + chance.randbytes(chance.choice([1, 2, 8, 100]))


def leave_out(row: bytes, chance: random.Random) -> bytes:
    a = chance.randrange(17, len(row))
    return row[:a] + row[a + chance.randrange(1, 9) :]


def noise(row: bytes, chance: random.Random) -> bytes:
    return row[:18] + chance.randbytes(len(row) - 18)


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip,
    flip,
    overwrite,
    overwrite,
    cut,
    lengthen,
    leave_out,
    noise,
)


def suffer(view: FeatureView, rows: Sequence[bytes | None], t: int) -> bool:
    """Read damaged rows. True if they were refused; anything but an answer or that fails."""
    try:
        read(view, rows, t)
    except CorruptDataError:
        return True
    return False


@given(cases(max_facts=12), st.randoms(use_true_random=False))
def test_damaged_rows_are_refused_or_read_without_harm(case: Case, chance: random.Random) -> None:
    if not case.facts:
        return
    horizon = sorted(f.known_time for f in case.facts)[len(case.facts) // 2]
    facts = [f for f in case.facts if f.known_time <= horizon]
    rows = packed(case.view, facts, horizon)
    for _ in range(6):
        damage, at = chance.choice(DAMAGES), chance.randrange(len(rows))
        damaged: list[bytes | None] = [*rows, None]
        damaged[at] = damage(rows[at], chance)
        suffer(case.view, damaged, horizon)


@given(cases(max_facts=8), cases(max_facts=4))
def test_rows_of_another_view_are_refused_or_read_without_harm(case: Case, other: Case) -> None:
    for row in packed(other.view, other.facts, 2**60):
        suffer(case.view, [row], 0)


def everything() -> FeatureView:
    """A view whose rows have every kind of block."""
    features = [ns.latest(c) for c in ("x", "s", "tags", "vector", "money", "day")]
    for window in (None, "1h"):
        features += [
            ns.count(window=window),
            ns.sum("x", window=window),
            ns.sum("money", window=window),
            ns.stddev("n", window=window),
            ns.min("s", window=window),
            ns.max("b", window=window),
            ns.min("small", window=window),
            ns.max("ok", window=window),
            ns.min("money", window=window),
            ns.last_n("s", 2, window=window),
            ns.first_n("x", 3, window=window, nulls=True),
            ns.last_value("day", window=window),
            ns.quantile("x", 0.5, window=window),
            ns.top_n("s", 2, window=window),
            ns.top_n("x", 1, cap=1, window=window),
            ns.count_distinct("s", window=window),
            ns.count_distinct("x", cap=5, window=window),
        ]
    return make_view(*features)


def full_row(view: FeatureView) -> bytes:
    """A row with two tiles and a pending event, without anything special to be found in it."""
    facts = [
        fact(
            at,
            known=0,
            sequence=at,
            x=x,
            n=7,
            small=-3,
            ok=True,
            s=s,
            b=b"ab",
            day=None,
            money=Decimal("1.250"),
            tags=["a", None],
            vector=[1.0, 2.0],
        )
        for at, x, s in [(1, 1.5, "a"), (2, 2.5, "é"), (900 * S, None, "a"), (901 * S, -1.0, "")]
    ]
    (row,) = packed(view, facts, 900 * S)
    assert row[17] == 3
    return row


def test_every_truncation_is_refused() -> None:
    view = everything()
    row = full_row(view)
    read(view, [row], 900 * S)
    for end in range(1, len(row)):
        with pytest.raises(CorruptDataError):
            unpack_rows(RowLayout(compile_view(view)), [row[:end]])


@pytest.mark.parametrize("wrong", [0, 255, None])
def test_every_kind_of_byte_changed_is_refused_or_read_without_harm(wrong: int | None) -> None:
    """Every sixth byte, another sixth each time: all of them take a minute."""
    view = everything()
    row = full_row(view)
    places = range(16 + random.randrange(6), len(row), 6)
    refused = 0
    for at in places:
        byte = wrong if wrong is not None else row[at] ^ 1 << random.randrange(8)
        refused += suffer(view, [row[:at] + bytes([byte]) + row[at + 1 :]], 901 * S)
    # Most bytes of a row are values, of which any is as good as another.
    assert refused > len(places) // 10


@pytest.mark.parametrize("row", [b"\0", b"x" * 17, VERSION + b"\x02\x00", VERSION + b"\x01\x04"])
def test_what_is_no_row_at_all_is_refused(row: bytes) -> None:
    layout = RowLayout(compile_view(make_view(ns.count())))
    with pytest.raises(CorruptDataError):
        unpack_rows(layout, [row])


@pytest.mark.parametrize("name", ["ns.count", "ns.top_n", "ns.count_distinct", "ns.last_n", "tags"])
def test_huge_counts_set_no_memory_aside(name: str) -> None:
    """A count of 4 billion in a row of a hundred bytes asked for as many states."""
    feature = {
        "ns.count": ns.count(window="1h"),
        "ns.top_n": ns.top_n("s", 1),
        "ns.count_distinct": ns.count_distinct("s"),
        "ns.last_n": ns.last_n("s", 2),
        "tags": ns.latest("tags"),
    }[name]
    view = make_view(feature)
    (row,) = packed(view, [fact(1, s="a", tags=["a"])], 1)
    start = RowLayout(compile_view(view)).head.itemsize
    refused = 0
    for at in range(start, len(row) - 3):
        huge = row[:at] + b"\xff\xff\xff\x7f" + row[at + 4 :]
        tracemalloc.start()
        try:
            refused += suffer(view, [huge] * 100, 1)
            assert tracemalloc.get_traced_memory()[1] < 50_000_000
        finally:
            tracemalloc.stop()
    assert refused


def test_text_that_is_not_utf8_is_refused() -> None:
    view = make_view(ns.latest("s"))
    (row,) = packed(view, [fact(1, s="é")], 1)
    with pytest.raises(CorruptDataError, match="UTF"):
        read(view, [row[:-1] + b"\xff"], 1)


def test_full_registers_do_not_divide_by_zero() -> None:
    view = make_view(ns.count_distinct("n", cap=0))
    (row,) = packed(view, [fact(1, n=1)], 1)
    assert len(row) > 2048
    assert read(view, [row], 1) == {"n_count_distinct": [1]}
    read(view, [row[:-2048] + bytes([54]) * 2048], 1)
    with pytest.raises(CorruptDataError):
        read(view, [row[:-1] + bytes([55])], 1)
