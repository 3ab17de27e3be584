"""FeatureService: the set of features that one model reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from noskew.definitions.declared import Converted, option
from noskew.definitions.described import Described
from noskew.definitions.identity import definition_digest
from noskew.definitions.on_demand import OnDemand, select
from noskew.definitions.view import FeatureView, Selection
from noskew.errors import DefinitionError
from noskew.types import DType, Schema


def _features(
    service: FeatureService, given: Iterable[FeatureView | Selection | OnDemand]
) -> tuple[Selection | OnDemand, ...]:
    features = [f if isinstance(f, OnDemand) else select(f, service.what) for f in given]
    # In answer order: stored ones first.
    return tuple(sorted(features, key=lambda f: isinstance(f, OnDemand)))


def _flag(service: FeatureService, given: bool) -> bool:
    del service
    return bool(given)


class FeatureService(Described):
    """The features that one model reads, in order.

    Parameters
    ----------
    name
        An identifier, unique in the project.
    features
        Views (all of their features), selections (``weather["temp", "visib"]``) and on-demand
        functions. Feature names must be unique in the service; ``view__feature`` names are
        given to all features with ``full_names=True``.
    """

    noun = "feature service"

    features: Converted[
        Iterable[FeatureView | Selection | OnDemand], tuple[Selection | OnDemand, ...]
    ] = option(kw_only=False, convert=_features)
    full_names: bool = option(default=False, convert=_flag)

    def _check(self) -> None:
        if not self.features:
            raise DefinitionError(f"{self.what}: features must not be empty")
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            twice = sorted({n for n in names if names.count(n) > 1})
            raise DefinitionError(
                f"{self.what}: two features are named {twice[0]!r}; select others, rename one, or "
                f"set full_names=True to get view__feature names"
            )
        if clash := set(names) & (set(self.join_keys) | set(self.request)):
            raise DefinitionError(
                f"{self.what}: {sorted(clash)[0]!r} is both a feature and a join key or request "
                f"field"
            )

    @cached_property
    def selections(self) -> tuple[Selection, ...]:
        """The stored features, by view."""
        return tuple(f for f in self.features if isinstance(f, Selection))

    @cached_property
    def on_demand(self) -> tuple[OnDemand, ...]:
        """The on-demand functions."""
        return tuple(f for f in self.features if isinstance(f, OnDemand))

    @cached_property
    def columns(self) -> tuple[ServiceColumn, ...]:
        """The features in answer order: stored ones first, then on-demand ones."""
        return (*self.stored_columns, *self.computed_columns)

    @cached_property
    def stored_columns(self) -> tuple[StoredColumn, ...]:
        """The columns that are features of views."""
        return tuple(
            StoredColumn(
                self._column_name(s.view.name, name), s.view.features[name].dtype, name, s.view
            )
            for s in self.selections
            for name in s.names
        )

    @cached_property
    def computed_columns(self) -> tuple[ComputedColumn, ...]:
        """The columns that are outputs of on-demand functions."""
        return tuple(
            ComputedColumn(self._column_name(function.name, name), kind, name, function)
            for function in self.on_demand
            for name, kind in function.outputs.items()
        )

    def _column_name(self, origin: str, feature: str) -> str:
        return f"{origin}__{feature}" if self.full_names else feature

    @cached_property
    def views(self) -> tuple[FeatureView, ...]:
        """Every view that a read touches, those of on-demand inputs included, each once."""
        by_name: dict[str, FeatureView] = {}
        for s in (*self.selections, *(i for f in self.on_demand for i in f.inputs)):
            if by_name.setdefault(s.view.name, s.view).definition_hash != s.view.definition_hash:
                raise DefinitionError(f"{self.what}: two different views named {s.view.name!r}")
        return tuple(by_name.values())

    @cached_property
    def join_keys(self) -> Schema:
        """The key columns that a caller gives, in order of first use."""
        return self._merged("join key", (v.entity.keys for v in self.views))

    @cached_property
    def request(self) -> Schema:
        """The request fields that a caller gives."""
        return self._merged("request field", (f.request for f in self.on_demand))

    def _merged(self, kind: str, parts: Iterable[Schema]) -> Schema:
        merged: dict[str, DType] = {}
        for part in parts:
            for name, dtype in part.items():
                if merged.setdefault(name, dtype) != dtype:
                    raise DefinitionError(
                        f"{self.what}: the {kind} {name!r} is {merged[name]} "
                        f"in one place and {dtype} in another"
                    )
        return Schema(merged)

    def __repr__(self) -> str:
        parts = [v.name for v in self.views] + [f.name for f in self.on_demand]
        return f"<FeatureService {self.name}: {len(self.columns)} features of {', '.join(parts)}>"

    def identity(self) -> dict[str, Any]:
        """What can change an answer: the columns and the definitions behind them."""
        return {
            "columns": [(c.name, c.feature, c.origin.definition_hash) for c in self.columns],
        }

    @cached_property
    def definition_hash(self) -> str:
        return definition_digest("feature_service", self.identity())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON data; views and functions by name."""
        return {
            "name": self.name,
            "views": [[s.view.name, list(s.names)] for s in self.selections],
            "on_demand": [f.name for f in self.on_demand],
            "full_names": self.full_names,
            **self.documentation(),
        }

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any],
        *,
        views: Mapping[str, FeatureView],
        on_demand: Mapping[str, OnDemand],
    ) -> FeatureService:
        """The inverse of :meth:`to_dict`."""
        stored = [views[view][tuple(names)] for view, names in data["views"]]
        options = {n: value for n, value in data.items() if n not in ("views", "on_demand")}
        computed = [on_demand[name] for name in data["on_demand"]]
        return cls(**options, features=(*stored, *computed))


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of a service's answer that is a feature of a view: its name there, and its type."""

    name: str
    dtype: DType
    feature: str
    origin: FeatureView
    is_stored: ClassVar[Literal[True]] = True

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views that it is made of."""
        return (self.origin.name,)


@dataclass(frozen=True, slots=True)
class ComputedColumn:
    """A column of a service's answer that is an output of an on-demand function."""

    name: str
    dtype: DType
    feature: str
    origin: OnDemand
    is_stored: ClassVar[Literal[False]] = False

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views that it is made of."""
        return tuple(dict.fromkeys(s.view.name for s in self.origin.inputs))


#: Type checkers know the type of ``origin`` from ``is_stored``.
ServiceColumn = StoredColumn | ComputedColumn
