"""Aggregations over events, and latest values: what a user writes into ``features=[…]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from noskew.clock import duration_text
from noskew.definitions.windows import DEFAULT_EXACT_CAP, Duration, hop_of, window_list
from noskew.errors import DefinitionError, nearest
from noskew.types import DType, Schema, check_name

_NUMBERS = frozenset({"int8", "int16", "int32", "int64", "float32", "float64", "bool"})
_SCALARS = _NUMBERS | {"string", "bytes", "timestamp", "date", "decimal"}
#: Which input types each aggregate takes.
INPUT_KINDS: Mapping[str, frozenset[str]] = {
    "count": _SCALARS | {"list", "vector"},
    "sum": _NUMBERS | {"decimal"},
    "mean": _NUMBERS,
    "var": _NUMBERS,
    "stddev": _NUMBERS,
    "min": _SCALARS,
    "max": _SCALARS,
    "first": _SCALARS,
    "last": _SCALARS,
    "first_n": _SCALARS,
    "last_n": _SCALARS,
    "count_distinct": _SCALARS,
    "quantile": _NUMBERS,
    "top_n": _SCALARS,
}
#: Longest list that first_n, last_n and top_n give.
MAX_LIST = 1_000


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One aggregate of one column over one or more windows. Made by :func:`mean` and the like.

    ``windows`` and ``hops`` are microseconds, in parallel; a window of None is all of history
    (hop 0). ``hops`` of None: not given; the view puts in its own or the default ones. ``n`` is
    the list length of first_n, last_n and top_n, ``q`` the quantile, ``cap`` the bound on exact
    sets and on the events of exact windows.
    """

    function: str
    column: str | None
    where: str | None = None
    windows: tuple[int | None, ...] = (None,)
    hops: tuple[int, ...] | None = None
    name: str | None = None
    n: int = 0
    q: float = 0.0
    cap: int = 0
    nulls: bool = False

    def feature_names(self) -> tuple[str, ...]:
        """The name of the feature of each window."""
        stem = self.name or self._stem()
        if self.name and len(self.windows) == 1:
            return (stem,)
        suffix = [f"_{duration_text(w)}" if w else "" for w in self.windows]
        return tuple(stem + s for s in suffix)

    def output_dtype(self, columns: Schema) -> DType:
        """The type of the feature, given the columns that go in."""
        if self.function in ("count", "count_distinct"):
            return DType("int64")
        if self.function in ("mean", "var", "stddev", "quantile"):
            return DType("float64")
        kind = columns[self.column or ""]
        if self.function in ("first_n", "last_n", "top_n"):
            return DType("list", item=kind)
        if self.function == "sum":
            if kind.kind == "decimal":
                return DType("decimal", precision=38, scale=kind.scale)
            return DType("float64" if kind.is_float else "int64")
        return kind

    def check(self, columns: Schema, what: str) -> None:
        """Raise DefinitionError unless the columns are there and of types that suit."""
        for name in (self.column, self.where):
            if name is not None and name not in columns:
                raise DefinitionError(
                    f"{what}: {self.function} names the column {name!r}, which is not there; "
                    f"{nearest(name, columns)}"
                )
        if self.where is not None and columns[self.where].kind != "bool":
            raise DefinitionError(
                f"{what}: where={self.where!r} must be a bool column, "
                f"it is {columns[self.where]}; add one in the transform"
            )
        if self.column is not None:
            kind = columns[self.column]
            if kind.kind not in INPUT_KINDS[self.function]:
                raise DefinitionError(
                    f"{what}: {self.function} of {self.column!r} needs one of "
                    f"{', '.join(sorted(INPUT_KINDS[self.function]))}, it is {kind}"
                )

    def identity(self) -> dict[str, Any]:
        """What can change a value, and the name under which it is served."""
        options = {slot: getattr(self, slot) for slot in self.__slots__}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in options.items()}

    def _stem(self) -> str:
        label = {
            "quantile": "p" + f"{self.q * 100:g}".replace(".", "_"),
            "first_n": f"first_{self.n}",
            "last_n": f"last_{self.n}",
            "top_n": f"top_{self.n}",
        }.get(self.function, self.function)
        if self.function == "count" and self.column is None:
            return f"{self.where}_count" if self.where else "count"
        return f"{self.column}_{label}" + (f"_where_{self.where}" if self.where else "")


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest value of a column, null included (SPEC §3). ``max_age`` in microseconds."""

    column: str
    name: str | None = None
    max_age: int | None = None

    @property
    def feature_name(self) -> str:
        return self.name or self.column

    def identity(self) -> dict[str, Any]:
        return {"column": self.column, "name": self.feature_name, "max_age": self.max_age}


FeatureSpec = Aggregation | Latest
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def latest(column: str, *, name: str | None = None, max_age: Duration | None = None) -> Latest:
    """The value of ``column`` in the newest row at or before the time asked for.

    ``max_age``: older rows do not count (the value is then null). It is exact to the
    microsecond, closed at both ends, and overrides the view's.
    """
    check_name(name or column, "latest")
    return Latest(column, name, window_list(max_age, f"latest({column!r}), max_age")[0])


class Options(TypedDict, total=False):
    """What every aggregate takes.

    ``window``: a duration or several (one feature each); all of history if absent. ``hop``: a
    finer step than the default, or ``"exact"``. ``where``: a bool column; rows in which it is
    not true do not count. ``name``: instead of the one made from column, function and window.
    """

    window: Duration | Iterable[Duration] | None
    hop: Duration | None
    where: str | None
    name: str | None


def _make(
    function: str,
    column: str | None,
    options: Options,
    *,
    n: int = 0,
    q: float = 0.0,
    cap: int = 0,
    nulls: bool = False,
) -> Aggregation:
    what = f"{function}({column!r})"
    if unknown := set(options) - set(Options.__annotations__):
        known = nearest(sorted(unknown)[0], Options.__annotations__)
        raise TypeError(f"{what}: unexpected {sorted(unknown)}; {known}")
    where, name = options.get("where"), options.get("name")
    if column is not None and not (isinstance(column, str) and _IDENTIFIER.fullmatch(column)):
        raise DefinitionError(f"{what}: the column must be a column's name")
    if name is not None:
        check_name(name, what)
    windows = window_list(options.get("window"), what)
    hop = options.get("hop")
    hops = None if hop is None else tuple(hop_of(w, hop, what) for w in windows)
    return Aggregation(function, column, where, windows, hops, name, n, q, cap, nulls)


def _length(n: int, what: str) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MAX_LIST:
        raise DefinitionError(f"{what}: n must be 1 to {MAX_LIST}, got {n!r}")
    return n


def count(column: str | None = None, **options: Unpack[Options]) -> Aggregation:
    """How many rows, or with ``column`` how many of its values are not null. No rows: 0."""
    return _make("count", column, options)


def sum(column: str, **options: Unpack[Options]) -> Aggregation:
    """The exact sum, rounded once. Integers outside int64 give null. No rows: null."""
    return _make("sum", column, options)


def mean(column: str, **options: Unpack[Options]) -> Aggregation:
    """The arithmetic mean: the exact quotient, rounded once to float64. No rows: null."""
    return _make("mean", column, options)


def var(column: str, **options: Unpack[Options]) -> Aggregation:
    """The sample variance: exact, rounded once to float64. Below two rows: null."""
    return _make("var", column, options)


def stddev(column: str, **options: Unpack[Options]) -> Aggregation:
    """The square root of :func:`var`. Below two rows: null."""
    return _make("stddev", column, options)


def min(column: str, **options: Unpack[Options]) -> Aggregation:
    """The least value; NaN only if all are NaN; −0.0 is below 0.0. No rows: null."""
    return _make("min", column, options)


def max(column: str, **options: Unpack[Options]) -> Aggregation:
    """The greatest value; NaN only if all are NaN; −0.0 is below 0.0. No rows: null."""
    return _make("max", column, options)


def first_value(
    column: str,
    *,
    nulls: bool = False,
    **options: Unpack[Options],
) -> Aggregation:
    """The value of the earliest row; nulls are skipped unless ``nulls=True``. No rows: null."""
    return _make("first", column, options, nulls=nulls)


def last_value(
    column: str,
    *,
    nulls: bool = False,
    **options: Unpack[Options],
) -> Aggregation:
    """The value of the latest row; nulls are skipped unless ``nulls=True``. No rows: null."""
    return _make("last", column, options, nulls=nulls)


def first_n(
    column: str,
    n: int,
    *,
    nulls: bool = False,
    **options: Unpack[Options],
) -> Aggregation:
    """The values of the ``n`` earliest rows, in time order. No rows: an empty list."""
    length = _length(n, f"first_n({column!r})")
    return _make("first_n", column, options, n=length, nulls=nulls)


def last_n(
    column: str,
    n: int,
    *,
    nulls: bool = False,
    **options: Unpack[Options],
) -> Aggregation:
    """The values of the ``n`` latest rows, in time order. No rows: an empty list."""
    length = _length(n, f"last_n({column!r})")
    return _make("last_n", column, options, n=length, nulls=nulls)


def count_distinct(
    column: str,
    *,
    cap: int = 256,
    **options: Unpack[Options],
) -> Aggregation:
    """How many different values: exact up to ``cap``, above it a HyperLogLog estimate.

    The estimate uses 2,048 registers: a standard error of 2.3 %. −0.0 equals 0.0, NaN equals
    NaN. No rows: 0.
    """
    if isinstance(cap, bool) or not isinstance(cap, int) or not 0 <= cap <= 4_096:
        raise DefinitionError(f"count_distinct({column!r}): cap must be 0 to 4096, got {cap!r}")
    return _make("count_distinct", column, options, cap=cap)


def quantile(
    column: str,
    q: float,
    **options: Unpack[Options],
) -> Aggregation:
    """The value of rank ``⌊q·(n−1)⌋``, within 1/128 of it; NaN is ignored. No rows: null."""
    if isinstance(q, bool) or not isinstance(q, (int, float)) or not 0 <= q <= 1:
        raise DefinitionError(f"quantile({column!r}): q must be 0 to 1, got {q!r}")
    return _make("quantile", column, options, q=float(q))


def top_n(
    column: str,
    n: int,
    *,
    cap: int = DEFAULT_EXACT_CAP,
    **options: Unpack[Options],
) -> Aggregation:
    """The ``n`` most frequent values, most frequent first, ties by value. No rows: [].

    Exact while at most ``cap`` different values are in the window; beyond that null.
    −0.0 equals 0.0, NaN equals NaN (and sorts last).
    """
    length = _length(n, f"top_n({column!r})")
    if isinstance(cap, bool) or not isinstance(cap, int) or not length <= cap <= 10_000:
        raise DefinitionError(f"top_n({column!r}): cap must be n to 10000, got {cap!r}")
    return _make("top_n", column, options, n=length, cap=cap)
