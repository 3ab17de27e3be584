"""ViewPlan: what the kernel does for a feature view, worked out once from its definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from noskew.definitions.aggregation import Aggregation, Latest
from noskew.definitions.view import Feature, FeatureView
from noskew.definitions.windows import EXACT_HOP
from noskew.kernel.aggregates.additive import Count
from noskew.kernel.aggregates.base import Accumulator, Aggregate
from noskew.kernel.aggregates.count import CountOf
from noskew.kernel.aggregates.distinct import CountDistinctOf
from noskew.kernel.aggregates.extremum import ExtremumOf
from noskew.kernel.aggregates.mean import MeanOf
from noskew.kernel.aggregates.ordered import OrderedOf
from noskew.kernel.aggregates.quantile import QuantileOf
from noskew.kernel.aggregates.sum import SumOf
from noskew.kernel.aggregates.top_n import TopNOf
from noskew.kernel.aggregates.variance import VarianceOf
from noskew.types import Schema

#: Counts the events of exact windows, against the cap.
EVERY_EVENT = Count(None, None)


@dataclass(frozen=True)
class LatestFeature:
    """A feature that is the newest value of a column."""

    name: str
    column: str
    kind: pa.DataType
    max_age: int | None


@dataclass(frozen=True)
class WindowFeature:
    """A feature that is an aggregate over a window (None: all of history, hop 0)."""

    name: str
    aggregate: Aggregate
    window: int | None
    hop: int
    kind: pa.DataType


@dataclass(frozen=True)
class Group:
    """Accumulators that share tiles of one hop. ``reach``: the longest window, 0 for hop 0."""

    hop: int
    reach: int
    accumulators: tuple[Accumulator, ...]

    def indices(self, aggregate: Aggregate) -> list[int]:
        """Where the accumulators of an aggregate stand in this group."""
        return [self.accumulators.index(a) for a in aggregate.accumulators]


@dataclass(frozen=True)
class WindowQuery:
    """The features of one window and hop: what to merge, and how to make values of it.

    ``accumulators`` are places in the group; ``features`` say at which of them their own stand.
    """

    group: int
    window: int | None
    hop: int
    accumulators: tuple[int, ...]
    features: tuple[tuple[WindowFeature, tuple[int, ...]], ...]
    every: int  # where an exact window's count of events stands; −1 for others


@dataclass(frozen=True)
class ViewPlan:
    """Everything the kernel needs to know of a view."""

    keys: Schema
    latest: tuple[LatestFeature, ...]
    windows: tuple[WindowFeature, ...]
    groups: tuple[Group, ...]
    exact_cap: int
    schema: Schema  # of the view's columns
    ordered_rows: bool  # rows carry known time and sequence of the latest value, so can merge

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features: latest values, then aggregates."""
        return (*(f.name for f in self.latest), *(f.name for f in self.windows))

    @cached_property
    def latest_columns(self) -> Mapping[str, pa.DataType]:
        """The columns that latest features read, each once."""
        return {f.column: f.kind for f in self.latest}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The value columns that features read, each once."""
        columns = dict.fromkeys(self.latest_columns)
        for group in self.groups:
            for a in group.accumulators:
                columns |= {c: None for c in (a.column, a.where) if c}  # type: ignore[attr-defined]
        return tuple(columns)

    @cached_property
    def column_kinds(self) -> Mapping[str, pa.DataType]:
        """The Arrow types of :attr:`columns`."""
        return {c: self.schema[c].to_arrow() for c in self.columns}

    @cached_property
    def group_of(self) -> Mapping[int, int]:
        """The position of the group of each hop."""
        return {group.hop: i for i, group in enumerate(self.groups)}

    @cached_property
    def queries(self) -> tuple[WindowQuery, ...]:
        """The window features, put together by window and hop."""
        together: dict[tuple[int, int | None], list[WindowFeature]] = {}
        for feature in self.windows:
            together.setdefault((feature.hop, feature.window), []).append(feature)
        return tuple(
            _query(self.groups, self.group_of[hop], window, features)
            for (hop, window), features in together.items()
        )

    def restrict(self, names: set[str]) -> ViewPlan:
        """A plan for some of the features, for reading the past (not for rows)."""
        latest = tuple(f for f in self.latest if f.name in names)
        windows = tuple(f for f in self.windows if f.name in names)
        groups = _groups(windows)
        return replace(self, latest=latest, windows=windows, groups=groups)


def compile_view(view: FeatureView) -> ViewPlan:
    """The plan of a view. Pure; the same definition gives the same plan."""
    latest, windows = [], []
    for feature in view.features.values():
        if isinstance(feature.spec, Latest):
            kind = feature.dtype.to_arrow()
            latest.append(LatestFeature(feature.name, feature.spec.column, kind, feature.max_age))
        else:
            windows.append(_window_feature(feature, feature.spec, view.columns))
    return ViewPlan(
        keys=view.entity.keys,
        latest=tuple(latest),
        windows=tuple(windows),
        groups=_groups(tuple(windows)),
        exact_cap=view.exact_cap,
        schema=view.columns,
        ordered_rows=view.source.stream is not None,
    )


def _query(
    groups: tuple[Group, ...], at: int, window: int | None, features: list[WindowFeature]
) -> WindowQuery:
    group = groups[at]
    every = group.accumulators.index(EVERY_EVENT) if group.hop == EXACT_HOP else -1
    places = [(f, tuple(group.indices(f.aggregate))) for f in features]
    needed = {i for _, indices in places for i in indices} | ({every} - {-1})
    return WindowQuery(at, window, group.hop, tuple(sorted(needed)), tuple(places), every)


def _groups(windows: tuple[WindowFeature, ...]) -> tuple[Group, ...]:
    by_hop: dict[int, dict[Accumulator, None]] = {}
    reach: dict[int, int] = {}
    for feature in windows:
        accumulators = by_hop.setdefault(feature.hop, {})
        if feature.hop == EXACT_HOP:
            accumulators[EVERY_EVENT] = None
        accumulators |= dict.fromkeys(feature.aggregate.accumulators)
        reach[feature.hop] = max(reach.get(feature.hop, 0), feature.window or 0)
    return tuple(Group(hop, reach[hop], tuple(by_hop[hop])) for hop in sorted(by_hop))


def _window_feature(feature: Feature, spec: Aggregation, columns: Schema) -> WindowFeature:
    kind = columns[spec.column].to_arrow() if spec.column else pa.null()
    aggregate = _AGGREGATES[spec.function](spec, kind)
    return WindowFeature(
        feature.name, aggregate, feature.window, feature.hop, feature.dtype.to_arrow()
    )


def _ordered(latest: bool, single: bool) -> Callable[[Aggregation, pa.DataType], Aggregate]:
    def make(spec: Aggregation, kind: pa.DataType) -> Aggregate:
        n = 1 if single else spec.n
        return OrderedOf(spec.column or "", spec.where, kind, n, latest, spec.nulls, single)

    return make


_AGGREGATES: Mapping[str, Callable[[Aggregation, pa.DataType], Aggregate]] = {
    "count": lambda s, _: CountOf(s.column, s.where),
    "sum": lambda s, kind: SumOf(s.column or "", s.where, kind),
    "mean": lambda s, _: MeanOf(s.column or "", s.where),
    "var": lambda s, _: VarianceOf(s.column or "", s.where, root=False),
    "stddev": lambda s, _: VarianceOf(s.column or "", s.where, root=True),
    "min": lambda s, kind: ExtremumOf(s.column or "", s.where, kind, greatest=False),
    "max": lambda s, kind: ExtremumOf(s.column or "", s.where, kind, greatest=True),
    "first": _ordered(latest=False, single=True),
    "last": _ordered(latest=True, single=True),
    "first_n": _ordered(latest=False, single=False),
    "last_n": _ordered(latest=True, single=False),
    "count_distinct": lambda s, _: CountDistinctOf(s.column or "", s.where, s.cap),
    "quantile": lambda s, _: QuantileOf(s.column or "", s.where, s.q),
    "top_n": lambda s, kind: TopNOf(s.column or "", s.where, kind, s.n, s.cap),
}
