"""Hypothesis strategies for views, facts and rows, and what compares a path with the reference.

>>> from hypothesis import given
>>> from noskew.testing.reference import historical
>>> @given(cases())
... def test_my_path(case: Case) -> None:
...     facts = facts_to_table(case.view, case.facts)
...     answer = my_path(case.view, facts, rows_to_table(case.view, case.rows))
...     expected = historical(case.view, case.facts, case.rows)
...     assert_same(expected, answer, case.view, rows=case.rows, facts=case.facts)

Times, keys and values come from small pools that are drawn anew for each example, so ties,
duplicates, window edges and extremes are the rule.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from noskew.clock import MAX_TIME, MIN_TIME, duration_micros, to_datetime, to_micros, to_text
from noskew.definitions.aggregation import (
    INPUT_KINDS,
    Aggregation,
    FeatureSpec,
    Latest,
    count,
    count_distinct,
    first_n,
    first_value,
    last_n,
    last_value,
    latest,
    max,
    mean,
    min,
    quantile,
    stddev,
    sum,
    top_n,
    var,
)
from noskew.definitions.entity import Entity
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.definitions.windows import MAX_TILES, Duration
from noskew.testing.reference import Fact, Row
from noskew.types import DType, dtype

EVENT_TIME, KNOWN_TIME, SEQUENCE = "_event_time", "_known_time", "_sequence"
_TIMESTAMP = dtype("timestamp")

#: Join keys: every kind, alone and together. (1, 23) and (12, 3), ("a", "bc") and ("ab", "c")
#: are among the values, for those who would glue parts together.
ENTITIES: tuple[Entity, ...] = (
    Entity("user", {"user_id": "int64"}),
    Entity("place", {"place": "string"}),
    Entity("pair", {"user_id": "int64", "other_id": "int64"}),
    Entity("route", {"origin": "string", "target": "string"}),
    Entity("device", {"serial": "bytes", "made_on": "date"}),
    Entity("slot", {"shelf": "int8", "open": "bool", "since": "timestamp"}),
    Entity("cell", {"x": "int16", "y": "int32", "label": "string"}),
)
#: A column of every type, two of those that filter or overflow.
COLUMNS: Mapping[str, str] = {
    "flag": "bool",
    "other_flag": "bool",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "f32": "float32",
    "f64": "float64",
    "text": "string",
    "blob": "bytes",
    "moment": "timestamp",
    "day": "date",
    "money": "decimal(18, 2)",
    "wide": "decimal(38, 3)",
    "tags": "list<string>",
    "readings": "list<float64>",
    "embedding": "vector<float32, 2>",
}
EVENT_ID = "event_id"

_KEY_PARTS: Mapping[str, tuple[Any, ...]] = {
    "bool": (False, True),
    "int8": (0, -128, 127),
    "int16": (1, 12, -(2**15)),
    "int32": (3, 23, 2**31 - 1),
    "int64": (1, 12, 3, 23, 0, -1, 2**63 - 1, -(2**63)),
    "string": ("a", "ab", "bc", "c", "", "é", "e\u0301", "\U0001f600", "a\x00"),
    "bytes": (b"a", b"ab", b"", b"\x00", b"\xff"),
    "date": (date(1970, 1, 1), date(1969, 12, 31), date(9999, 12, 31)),
    "timestamp": (to_datetime(0), to_datetime(-1), to_datetime(1)),
}
_TIME_ENDS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_WINDOWS = ("1us", "1234567us", "1s", "10s", "90s", "5min", "1h", "25h", "7d")
_AGES = (None, None, "1us", "1s", "1h")
#: Horizons of event ids. Some are as long as a delay of :func:`facts`, so that repetitions fall on
#: both sides of them and on the edge; the last is longer than the calendar.
_HORIZONS: tuple[Duration, ...] = (0, "1us", "1s", "1s", "1h", "1d", MAX_TIME - MIN_TIME)
#: Starts of timelines: the epoch, just before it, long before it, a leap second's neighbour.
_ANCHORS = (0, -1, -1_234_567_890_123_456, 1_483_228_799_999_999)


class Case(NamedTuple):
    """A view, facts in an order of arrival, and rows that ask."""

    view: FeatureView
    facts: list[Fact]
    rows: list[Row]

    def __repr__(self) -> str:
        # Whole, for the report of a failure: a view shows itself in a line.
        return f"Case({self.view.identity()!r}, facts={self.facts!r}, rows={self.rows!r})"


@st.composite
def cases(draw: DrawFn, *, max_facts: int = 20, max_rows: int = 8) -> Case:
    """A view with facts and rows that meet at the edges of its windows."""
    view = draw(views())
    found = draw(facts(view, max_size=max_facts))
    return Case(view, found, draw(rows(view, found, max_size=max_rows)))


@st.composite
def views(draw: DrawFn, *, max_features: int = 5, event_id: bool | None = None) -> FeatureView:
    """A view without a transform over an entity of :data:`ENTITIES` and :data:`COLUMNS`.

    ``event_id``: whether the source names a column of event ids, with a horizon; drawn if None.
    """
    entity = draw(st.sampled_from(ENTITIES))
    has_id = draw(st.booleans()) if event_id is None else event_id
    source = _source(entity, draw(st.sampled_from(_HORIZONS)) if has_id else None)
    number = draw(st.integers(1, max_features))
    features = [draw(_features(f"f{i}")) for i in range(number)]
    return FeatureView(
        "view",
        entity=entity,
        source=source,
        features=features,
        max_age=draw(st.sampled_from(_AGES)),
        exact_cap=draw(st.sampled_from((1_000, 1, 2, 5))),
    )


@st.composite
def facts(draw: DrawFn, view: FeatureView, *, min_size: int = 0, max_size: int = 20) -> list[Fact]:
    """Facts in an order of arrival, from few keys, few times and few values.

    Event times lie at, and a microsecond beside, multiples of the view's hops, windows and ages;
    known times tie, come out of order, and are up to 5 minutes before the event. Ids repeat. Only
    the columns that the view's features use have values, the others are null.
    """
    keys = draw(st.lists(_keys(view), min_size=1, max_size=3))
    around = _instants(view, draw(st.sampled_from(_ANCHORS)))
    instants = draw(st.lists(around, min_size=1, max_size=5))
    loaded_at = sorted(instants)[-1] + 1
    delays = st.sampled_from([0, 0, 0, 1, -1, 1_000_000, 3_600_000_000, -300_000_000, 10**13])
    columns = sorted(_used_columns(view))
    palettes = {
        name: st.sampled_from(
            [None, *draw(st.lists(values(view.columns[name]), min_size=1, max_size=6))]
        )
        for name in columns
    }
    if view.source.event_id is not None:
        palettes[view.source.event_id] = st.sampled_from([None, None, "e1", "e2", "e3"])
    size = draw(st.sampled_from(range(min_size, max_size + 1)))
    found = []
    for sequence in draw(st.permutations(range(size))):
        event_time = draw(st.sampled_from(instants)) + draw(st.sampled_from([0, 0, 0, -1, 1]))
        known_time = event_time + draw(delays)
        if draw(st.integers(0, 3)) == 0:
            # As when a batch is loaded: everything becomes known at one time.
            known_time = loaded_at
        drawn = {name: draw(palette) for name, palette in palettes.items()}
        key = draw(st.sampled_from(keys))
        found.append(Fact(key, event_time, known_time, sequence, drawn))
    return found


@st.composite
def rows(
    draw: DrawFn,
    view: FeatureView,
    about: Sequence[Fact],
    *,
    min_size: int = 0,
    max_size: int = 8,
) -> list[Row]:
    """Rows that ask about the facts' keys, and about unknown and null ones.

    Times are those of events (or when they became known), the edges of the tiles they are in,
    and a hop, window or age later, each exactly or a microsecond beside.
    """
    known_keys = [fact.key for fact in about]
    spans = [0, 0, *_spans(view)]
    found: list[Row] = []
    for _ in range(draw(st.sampled_from(range(min_size, max_size + 1)))):
        stranger = st.one_of(_keys(view), _keys(view, null=True))
        asks_known: int = draw(st.integers(0, 5))
        key = draw(st.sampled_from(known_keys) if known_keys and asks_known else stranger)
        if about:
            fact = draw(st.sampled_from(about))
            base = draw(st.sampled_from([fact.event_time, fact.event_time, fact.known_time]))
        else:
            base = draw(_instants(view, draw(st.sampled_from(_ANCHORS))))
        if draw(st.booleans()):
            hop = draw(st.sampled_from(_spans(view)))
            base = base // hop * hop
        t = base + draw(st.sampled_from(spans)) + draw(st.sampled_from([0, 0, -1, 1]))
        found.append((key, t))
    repeats: bool = draw(st.booleans())
    return found + found[:1] if repeats else found


def known_ats(about: Sequence[Fact]) -> SearchStrategy[Any]:
    """Values of ``known_at``: None, ``"row"``, and times at and beside known times."""
    times = [fact.known_time + d for fact in about for d in (-1, 0)] or [0]
    return st.one_of(st.none(), st.just("row"), st.sampled_from(times))


def values(kind: DType) -> SearchStrategy[Any]:
    """Values of a type, not null, its extremes often among them."""
    if kind.item is not None:
        least, most = (kind.size, kind.size) if kind.kind == "vector" else (0, 3)
        return st.lists(values(kind.item), min_size=least, max_size=most)
    if kind.is_integer:
        bits = int(kind.kind[3:])
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        return st.sampled_from([0, 1, -1, 2, low, high, high - 1]) | st.integers(low, high)
    if kind.is_float:
        return _floats(int(kind.kind[5:]))
    if kind.kind == "decimal":
        most_unscaled = 10**kind.precision - 1
        unscaled = st.sampled_from([0, 1, -1, 150, most_unscaled, -most_unscaled])
        return (unscaled | st.integers(-most_unscaled, most_unscaled)).map(
            lambda n: Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -kind.scale))
        )
    return _OTHERS[kind.kind]


def _floats(width: Any) -> SearchStrategy[float]:
    huge, tiny, least = (1e300, 1e-300, 5e-324) if width == 64 else (2.0**127, 2.0**-126, 2.0**-149)
    special = [0.0, -0.0, math.nan, math.inf, -math.inf, huge, -huge, tiny, -tiny, least, -least]
    tame = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 3.0])
    finite = st.floats(width=width, allow_nan=False, allow_infinity=False)
    return st.one_of(tame, finite, st.sampled_from(special), st.floats(width=width))


_OTHERS: Mapping[str, SearchStrategy[Any]] = {
    "bool": st.booleans(),
    # U+FFFF sorts after U+1F600 in UTF-16, before it in UTF-8.
    "string": st.sampled_from(["", "a", "ab", "b", "é", "e\u0301", "\uffff", "\U0001f600", "\x00"])
    | st.text(max_size=3),
    "bytes": st.sampled_from([b"", b"a", b"ab", b"\x00", b"\x7f", b"\x80"]) | st.binary(max_size=3),
    "timestamp": st.sampled_from([to_datetime(0), to_datetime(-1), to_datetime(1), *_TIME_ENDS]),
    "date": st.sampled_from([date(1970, 1, 1), date(1969, 12, 31), date.min, date.max]),
}


def facts_to_table(view: FeatureView, about: Sequence[Fact]) -> pa.Table:
    """The facts as the offline store holds them, in their order.

    Columns: the keys, the view's other columns, and ``_event_time`` and ``_known_time``
    (timestamp[us, UTC]) and ``_sequence`` (int64). The source's clock columns are filled.
    """
    columns: dict[str, pa.Array[Any]] = {}
    for i, (name, kind) in enumerate(view.entity.keys.items()):
        columns[name] = pa.array([fact.key[i] for fact in about], type=kind.to_arrow())
    for name, kind in view.columns.items():
        if name not in columns:
            cells = [_cell(view, fact, name) for fact in about]
            columns[name] = pa.array(cells, type=kind.to_arrow())
    columns[EVENT_TIME] = _times([fact.event_time for fact in about])
    columns[KNOWN_TIME] = _times([fact.known_time for fact in about])
    columns[SEQUENCE] = pa.array([fact.sequence for fact in about], type=pa.int64())
    return pa.table(columns)


def rows_to_table(
    view: FeatureView, asked: Sequence[Row], event_time: str = "event_timestamp"
) -> pa.Table:
    """The rows as a caller's table: the key columns and the time asked for."""
    columns: dict[str, pa.Array[Any]] = {}
    for i, (name, kind) in enumerate(view.entity.keys.items()):
        cells = [key[i] if key is not None else None for key, _ in asked]
        columns[name] = pa.array(cells, type=kind.to_arrow())
    columns[event_time] = _times([t for _, t in asked])
    return pa.table(columns)


def assert_same(
    expected: Sequence[Mapping[str, Any]],
    actual: pa.Table,
    view: FeatureView,
    *,
    rows: Sequence[Row] | None = None,
    facts: Sequence[Fact] | None = None,
) -> None:
    """Raise AssertionError unless a table holds the expected features, bit for bit.

    NaN equals NaN, −0.0 differs from 0.0, null differs from every value, lists are compared item
    by item, and each column must have its feature's Arrow type. Other columns may stand beside.
    With ``rows`` and ``facts`` the message shows what was asked and the key's facts.
    """
    if actual.num_rows != len(expected):
        raise AssertionError(f"expected {len(expected)} rows, got {actual.num_rows}")
    for name, feature in view.features.items():
        if actual.column_names.count(name) != 1:
            raise AssertionError(f"expected one column {name!r} among {actual.column_names}")
        arrow = feature.dtype.to_arrow()
        column = actual.column(name)
        if column.type != arrow:
            raise AssertionError(f"{name!r} ({feature.describe()}): {column.type} is not {arrow}")
        for i, got in enumerate(column):
            wanted = _comparable(expected[i][name], feature.dtype)
            if wanted != (found := _comparable_scalar(got, feature.dtype)):
                raise AssertionError(
                    f"row {i}, feature {name!r} ({feature.describe()}): expected "
                    f"{expected[i][name]!r}, got {_shown(found)}{_context(view, i, rows, facts)}"
                )


def _comparable(value: Any, kind: DType) -> Any:
    """A form whose ``==`` is equality of bits; times as integers, since Arrow's reach further."""
    if value is None:
        return None
    if kind.item is not None:
        return tuple(_comparable(item, kind.item) for item in value)
    if kind.is_float:
        return "NaN" if math.isnan(value) else struct.pack(">d", value)
    if kind.kind == "timestamp":
        return to_micros(value)
    if kind.kind == "date":
        return (value - date(1970, 1, 1)).days
    return (type(value), value)


def _comparable_scalar(scalar: Any, kind: DType) -> Any:
    if not scalar.is_valid:
        return None
    if kind.item is not None:
        return tuple(_comparable_scalar(item, kind.item) for item in scalar.values)
    if kind.kind in ("timestamp", "date"):
        return scalar.value
    return _comparable(scalar.as_py(), kind)


def _shown(comparable: Any) -> str:
    if isinstance(comparable, bytes):
        return repr(struct.unpack(">d", comparable)[0])
    if isinstance(comparable, tuple) and comparable and isinstance(comparable[0], type):
        return repr(comparable[1])
    if isinstance(comparable, tuple):
        return "[" + ", ".join(_shown(item) for item in comparable) + "]"
    return str(comparable)


def _context(
    view: FeatureView, i: int, asked: Sequence[Row] | None, about: Sequence[Fact] | None
) -> str:
    if asked is None:
        return ""
    key, t = asked[i]
    lines = [f"\nasked for {key!r} at {t} ({to_text(t)})"]
    if about is not None:
        of_key = [fact for fact in about if fact.key == key]
        lines.append(
            f"facts of the key ({len(of_key)} of {len(about)}), exact_cap={view.exact_cap}:"
        )
        for f in sorted(of_key, key=lambda f: (f.event_time, f.known_time, f.sequence)):
            lines.append(
                f"  event t{f.event_time - t:+} µs, known t{f.known_time - t:+} µs, "
                f"sequence {f.sequence}: {dict(f.values)!r}"
            )
    return "\n".join(lines)


def _cell(view: FeatureView, fact: Fact, name: str) -> Any:
    if name not in fact.values and name == view.source.event_time:
        return to_datetime(fact.event_time)
    if name not in fact.values and name == view.source.created:
        return to_datetime(fact.known_time)
    return fact.values.get(name)


def _times(micros: list[int]) -> pa.Array[Any]:
    return pa.array(micros, type=pa.int64()).cast(_TIMESTAMP.to_arrow())


def _source(entity: Entity, horizon: Duration | None) -> Source:
    """A source with event ids and their horizon; without them if it is None."""
    clocks = {"happened_at": "timestamp", "learned_at": "timestamp", EVENT_ID: "string"}
    ids: Any = {} if horizon is None else {"event_id": EVENT_ID, "event_id_horizon": horizon}
    return Source(
        "events",
        {**entity.keys, **clocks, **COLUMNS},
        event_time="happened_at",
        created="learned_at",
        **ids,
    )


@st.composite
def _features(draw: DrawFn, name: str) -> FeatureSpec:
    if draw(st.integers(0, 3)) == 0:
        column = draw(st.sampled_from(sorted(COLUMNS)))
        return latest(column, name=name, max_age=draw(st.sampled_from(_AGES)))
    function = draw(st.sampled_from(_FUNCTIONS))
    kinds = INPUT_KINDS[function]
    columns = [c for c, k in COLUMNS.items() if dtype(k).kind in kinds]
    if function == "sum":
        columns += ["i64", "wide", "f64"] * 3  # those that overflow
    column = draw(st.sampled_from(columns))
    options: Any = {
        "name": name,
        "where": draw(st.sampled_from([None, None, "flag", "other_flag"])),
        **draw(_windows()),
    }
    return draw(_aggregations(function, column, options))


#: The sums, whose exactness takes the most code, more often than the rest.
_FUNCTIONS = (*sorted(INPUT_KINDS), "sum", "sum", "mean", "var", "stddev")


@st.composite
def _windows(draw: DrawFn) -> dict[str, Any]:
    """No window, one with any hop, or several that share the default hop or are exact."""
    choice = draw(st.integers(0, 4))
    if choice == 0:
        return {"window": None}
    if choice == 1:
        several = draw(st.lists(st.sampled_from(_WINDOWS), min_size=2, max_size=3, unique=True))
        return {"window": several, "hop": draw(st.sampled_from([None, "exact"]))}
    window = draw(st.sampled_from(_WINDOWS))
    micros = duration_micros(window)
    hops = [h for n in (1, 2, 3, 7, 24, MAX_TILES) if (h := -(-micros // n)) > 1]
    return {"window": window, "hop": draw(st.sampled_from([None, "exact", *hops]))}


@st.composite
def _aggregations(draw: DrawFn, function: str, column: str, options: Any) -> Aggregation:
    few = st.integers(1, 3)
    nulls = st.booleans()
    if function == "count":
        return count(draw(st.sampled_from([None, column])), **options)
    if function in _PLAIN:
        return _PLAIN[function](column, **options)
    if function in ("first", "last"):
        make = first_value if function == "first" else last_value
        return make(column, nulls=draw(nulls), **options)
    if function in ("first_n", "last_n"):
        make_n = first_n if function == "first_n" else last_n
        return make_n(column, draw(few), nulls=draw(nulls), **options)
    if function == "count_distinct":
        return count_distinct(column, cap=draw(st.sampled_from([256, 0, 1, 2])), **options)
    if function == "quantile":
        return quantile(column, draw(st.sampled_from([0, 0.25, 1 / 3, 0.5, 0.9, 1])), **options)
    n = draw(few)
    return top_n(column, n, cap=n + draw(st.sampled_from([997, 0, 1])), **options)


_PLAIN: Mapping[str, Callable[..., Aggregation]] = {
    "sum": sum,
    "mean": mean,
    "var": var,
    "stddev": stddev,
    "min": min,
    "max": max,
}


def _keys(view: FeatureView, *, null: bool = False) -> SearchStrategy[Any]:
    parts = [
        st.sampled_from([None, *_KEY_PARTS[kind.kind]] if null else _KEY_PARTS[kind.kind])
        for kind in view.entity.keys.values()
    ]
    return st.tuples(*parts) | st.none() if null else st.tuples(*parts)


def _used_columns(view: FeatureView) -> set[str]:
    used = {feature.spec.column for feature in view.features.values()}
    for feature in view.features.values():
        if not isinstance(feature.spec, Latest):
            used.add(feature.spec.where)
    return {name for name in used if name is not None}


def _spans(view: FeatureView) -> list[int]:
    """Every length that a feature of the view knows: hops, windows, ages."""
    found = {1}
    for feature in view.features.values():
        found |= {span for span in (feature.window, feature.hop, feature.max_age) if span}
    return sorted(found)


@st.composite
def _instants(draw: DrawFn, view: FeatureView, anchor: int) -> int:
    """Multiples of the view's spans, near the anchor."""
    span = draw(st.sampled_from(_spans(view)))
    return anchor // span * span + span * draw(st.integers(-3, 3))
