"""Rows made up to find what real ones seldom show: nulls, ties, edges of tiles, odd text.

Chance plays no part: the same source and features give the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from noskew.clock import to_datetime, to_micros
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.kernel.values import floats
from noskew.types import DType

#: Enough that every odd value meets many others.
ROWS = 128
#: In New York a quarter to an hour that does not exist; tiles of every hop have an edge near it.
_AROUND = to_micros(datetime(2013, 3, 10, 6, 45, tzinfo=UTC))
_ENTITIES = 5
_DAY = 86_400_000_000

_BIG = 2**53 + 1
#: The largest number that is nothing special.
_USUAL = 1_000_000
_TEXTS = (
    "",
    " ",
    "a",
    "A",
    "ab",
    "B",
    "b",
    "é",
    "e\u0301",
    "ß",
    "İ",
    "😀",
    "0",
    "-1",
    "1.5",
    "007",
    "null",
    "NaN",
    "true",
    "2013-03-10",
    "2013-03-10T02:30:00Z",
    "12/31/2013",
    '{"a": 1, "b": [2]}',
    "{",
    "a,b,,c",
    "a b",
    "100%",
    "_",
    "\\",
    "'",
    '"',
    "\t",
    "line\nline",
    "a" * 300,
)
_TIMES = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in (
        "1970-01-01",
        "1969-12-31T23:59:59.999999",
        "2013-03-10T06:59:59",
        "2013-03-10T07:00",
        "2013-11-03T05:30",
        "2013-11-03T06:30",
        "2012-02-29T12:00",
        "2012-12-31T23:59:59",
        "2013-01-01",
        "1900-01-01",
        "2100-07-01",
    )
)
_DATES = tuple(date(*d) for d in ((1970, 1, 1), (2012, 2, 29), (1899, 12, 31), (2013, 12, 31)))
_FLOATS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    2.5,
    -2.5,
    0.1,
    1 / 3,
    15.0,
    15.000001,
    1e-7,
    1e15,
    float(_BIG),
    1e300,
    -1e300,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
)
_SINGLES = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    0.1,
    3.4e38,
    -3.4e38,
    1e-45,
    float("nan"),
    float("inf"),
    float("-inf"),
)
_POOLS: Mapping[str, tuple[Any, ...]] = {
    "bool": (True, False),
    "float64": _FLOATS,
    "float32": _SINGLES,
    "string": _TEXTS,
    "bytes": (b"", b"\0", b"a", b"\xff\xfe", b"a" * 40),
    "timestamp": _TIMES,
    "date": _DATES,
}


def odd_values(kind: DType) -> list[Any]:
    """Values of a type that programs go wrong on, null last."""
    if kind.item is not None:
        return [*_lists(kind), None]
    if kind.is_integer:
        bits = int(kind.kind.removeprefix("int"))
        most = 2 ** (bits - 1)
        all_sizes = (0, 1, -1, 2, 7, -7, 15, 100, _BIG, -_BIG, most - 1, -most)
        return [*(n for n in all_sizes if -most <= n < most), None]
    if kind.kind == "decimal":
        exact = Context(prec=kind.precision)
        most_units = 10**kind.precision - 1
        units = (0, 1, -1, min(250, most_units), most_units, -most_units)
        return [*(Decimal(n).scaleb(-kind.scale, exact) for n in units), None]
    return [*_POOLS[kind.kind], None]


def _lists(kind: DType) -> list[list[Any]]:
    assert kind.item is not None
    items = [v for v in odd_values(kind.item) if v is not None]
    if kind.kind == "vector":
        return [[items[(i + j) % len(items)] for j in range(kind.size)] for i in range(4)]
    return [[], [None], items[:1], items[:3], [items[0], None, items[-1]], items[::-1][:5]]


def ordinary_values(kind: DType) -> list[Any]:
    """Those of them that a mean or a spread of a batch survives: finite and of usual size."""
    return [v for v in odd_values(kind) if _is_ordinary(v)]


def _is_ordinary(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_ordinary, value))
    if isinstance(value, int | float | Decimal):
        size = abs(float(value))
        return size == 0 or 1 / _USUAL <= size <= _USUAL
    return True


def ordinary_rows(rows: pa.Table) -> pa.Table:
    """The rows whose numbers are all finite and of usual size."""
    keep = np.ones(len(rows), bool)
    for column in rows.columns:
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            values = floats(column.combine_chunks().cast(pa.float64(), safe=False))
            keep &= np.abs(values) <= _USUAL
    return rows.filter(pa.array(keep))


def made_up_rows(view: FeatureView, rows: int = ROWS, *, ordinary: bool = False) -> pa.Table:
    """Rows of a view's source, of its schema; few entities, many ties, all clocks there.

    Each column has each of its odd values at least once, if there are rows enough; ``ordinary``:
    of those only :func:`ordinary_values`.
    """
    pool_of = ordinary_values if ordinary else odd_values
    source, chance = view.source, Random(17)
    columns = {}
    times = _event_times(view, rows, chance)
    for name, kind in source.schema.items():
        if name == source.event_time:
            values: list[Any] = [to_datetime(t) for t in times]
        elif name == source.created:
            values = [_created(t, chance) for t in times]
        elif name in view.entity.keys or name == source.event_id:
            pool = odd_values(kind)
            few = [*pool[: _ENTITIES - 1], pool[-1]]
            values = [chance.choice(few) for _ in range(rows)]
        else:
            values = _each_once(pool_of(kind), rows, chance)
        columns[name] = pa.array(values, kind.to_arrow())
    return pa.table(columns, schema=source.schema.arrow)


def _each_once(pool: list[Any], rows: int, chance: Random) -> list[Any]:
    drawn = [*pool, *(chance.choice(pool) for _ in range(rows))][:rows]
    chance.shuffle(drawn)
    return drawn


def _event_times(view: FeatureView, rows: int, chance: Random) -> list[int]:
    """Times around edges of tiles and ends of windows, some of them twice."""
    spans = {f.hop for f in view.features.values()} | {
        f.window or 0 for f in view.features.values()
    }
    steps = [0, *(s for s in sorted(spans) if 0 < s < 400 * _DAY)]
    drawn: list[int] = []
    for _ in range(rows):
        step = chance.choice(steps)
        edge = (_AROUND // step if step else 0) * step or _AROUND
        move = step * chance.randint(-2, 2) + chance.choice((-1, 0, 0, 1, 1_000_000))
        drawn.append(chance.choice(drawn) if drawn and chance.random() < 0.2 else edge + move)
    return drawn


def _created(event_time: int, chance: Random) -> datetime | None:
    later = chance.choice((None, 0, 1, 60_000_000, 3_600_000_000))
    return None if later is None else to_datetime(event_time) + timedelta(microseconds=later)


def requests(kinds: Mapping[str, DType], rows: int = ROWS, *, ordinary: bool = False) -> pa.Table:
    """Rows of fields that a caller sends, odd values in every one, or only ordinary ones."""
    chance, pool_of = Random(23), ordinary_values if ordinary else odd_values
    return pa.table(
        {
            name: pa.array(_each_once(pool_of(kind), rows, chance), kind.to_arrow())
            for name, kind in kinds.items()
        }
    )


def known_at(source: Source, rows: pa.Table) -> int:
    """A known time, µs, at which no row of ``rows`` lies in the future."""
    latest = pa.compute.max(rows.column(source.event_time).cast(pa.int64())).as_py()
    return max(_AROUND, latest or 0) + _DAY
