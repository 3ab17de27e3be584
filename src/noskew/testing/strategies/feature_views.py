"""Views over columns of every type: all aggregations, with windows, hops, ages and filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from noskew.clock import MAX_TIME, MIN_TIME, duration_micros
from noskew.definitions.aggregation import (
    INPUT_KINDS,
    Aggregation,
    FeatureSpec,
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
from noskew.testing.strategies.entities import ENTITIES
from noskew.types import dtype

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
_WINDOWS = st.sampled_from(("1us", "1234567us", "1s", "10s", "90s", "5min", "1h", "25h", "7d"))
_SEVERAL_WINDOWS = st.lists(_WINDOWS, min_size=2, max_size=3, unique=True)
_AGES = st.sampled_from((None, None, "1us", "1s", "1h"))
_ENTITIES = st.sampled_from(ENTITIES)
_ANY_COLUMN = st.sampled_from(sorted(COLUMNS))
_FILTERS = st.sampled_from((None, None, "flag", "other_flag"))
_HOPS_OF_SEVERAL = st.sampled_from((None, "exact"))
_CAPS = st.sampled_from((1_000, 1, 2, 5))
_FEW = st.integers(1, 3)
_NULLS = st.booleans()
_ONE_IN_FOUR, _ONE_IN_FIVE = st.integers(0, 3), st.integers(0, 4)
#: Horizons of event ids. Some are as long as a delay of :func:`facts`, so that repetitions fall on
#: both sides of them and on the edge; the last is longer than the calendar.
_HORIZONS: SearchStrategy[Duration] = st.sampled_from(
    (0, "1us", "1s", "1s", "1h", "1d", MAX_TIME - MIN_TIME)
)


@st.composite
def feature_views(
    draw: DrawFn, *, max_features: int = 5, event_id: bool | None = None
) -> FeatureView:
    """A view without a transform over an entity of :data:`ENTITIES` and :data:`COLUMNS`.

    ``event_id``: whether the source names a column of event ids, with a horizon; drawn if None.
    """
    entity = draw(_ENTITIES)
    has_id = draw(st.booleans()) if event_id is None else event_id
    source = _source(entity, draw(_HORIZONS) if has_id else None)
    number = draw(st.integers(1, max_features))
    features = [draw(_features(f"f{i}")) for i in range(number)]
    return FeatureView(
        "view",
        entity=entity,
        source=source,
        features=features,
        max_age=draw(_AGES),
        exact_cap=draw(_CAPS),
    )


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
    if draw(_ONE_IN_FOUR) == 0:
        column = draw(_ANY_COLUMN)
        return latest(column, name=name, max_age=draw(_AGES))
    function = draw(_FUNCTIONS)
    column = draw(_columns_of(function))
    options: Any = {
        "name": name,
        "where": draw(_FILTERS),
        **draw(_windows()),
    }
    return draw(_aggregations(function, column, options))


@cache
def _columns_of(function: str) -> SearchStrategy[str]:
    kinds = INPUT_KINDS[function]
    columns = [c for c, k in COLUMNS.items() if dtype(k).kind in kinds]
    if function == "sum":
        columns += ["i64", "wide", "f64"] * 3  # those that overflow
    return st.sampled_from(columns)


#: The sums, whose exactness takes the most code, more often than the rest.
_FUNCTIONS = st.sampled_from((*sorted(INPUT_KINDS), "sum", "sum", "mean", "var", "stddev"))


@st.composite
def _windows(draw: DrawFn) -> dict[str, Any]:
    """No window, one with any hop, or several that share the default hop or are exact."""
    choice = draw(_ONE_IN_FIVE)
    if choice == 0:
        return {"window": None}
    if choice == 1:
        several = draw(_SEVERAL_WINDOWS)
        return {"window": several, "hop": draw(_HOPS_OF_SEVERAL)}
    window = draw(_WINDOWS)
    return {"window": window, "hop": draw(_hops_of(window))}


@cache
def _hops_of(window: Duration) -> SearchStrategy[Duration | None]:
    micros = duration_micros(window)
    hops = [h for n in (1, 2, 3, 7, 24, MAX_TILES) if (h := -(-micros // n)) > 1]
    return st.sampled_from([None, "exact", *hops])


@st.composite
def _aggregations(draw: DrawFn, function: str, column: str, options: Any) -> Aggregation:
    if function == "count":
        return count(draw(st.sampled_from([None, column])), **options)
    if function in _PLAIN:
        return _PLAIN[function](column, **options)
    if function in ("first", "last"):
        make = first_value if function == "first" else last_value
        return make(column, nulls=draw(_NULLS), **options)
    if function in ("first_n", "last_n"):
        make_n = first_n if function == "first_n" else last_n
        return make_n(column, draw(_FEW), nulls=draw(_NULLS), **options)
    if function == "count_distinct":
        return count_distinct(column, cap=draw(st.sampled_from([256, 0, 1, 2])), **options)
    if function == "quantile":
        return quantile(column, draw(st.sampled_from([0, 0.25, 1 / 3, 0.5, 0.9, 1])), **options)
    n = draw(_FEW)
    return top_n(column, n, cap=n + draw(st.sampled_from([997, 0, 1])), **options)


_PLAIN: Mapping[str, Callable[..., Aggregation]] = {
    "sum": sum,
    "mean": mean,
    "var": var,
    "stddev": stddev,
    "min": min,
    "max": max,
}
