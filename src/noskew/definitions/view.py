"""FeatureView: features that share a source, a transform and an entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from noskew.clock import duration_micros, duration_text
from noskew.definitions import transforms
from noskew.definitions.aggregation import Aggregation, FeatureSpec, Latest
from noskew.definitions.declared import Converted, option
from noskew.definitions.described import Described
from noskew.definitions.entity import Entity
from noskew.definitions.identity import definition_digest
from noskew.definitions.source import Source
from noskew.definitions.transforms import Transform
from noskew.definitions.windows import DEFAULT_EXACT_CAP, EXACT_HOP, Duration, hop_of, window_list
from noskew.errors import DefinitionError, nearest
from noskew.types import DType, Schema, check_name

_Kind = TypeVar("_Kind")
LATE_POLICIES = ("fold", "table", "drop")


@dataclass(frozen=True, slots=True)
class Feature:
    """One column that a view serves: a latest value, or an aggregate over one window."""

    name: str
    dtype: DType
    spec: FeatureSpec
    window: int | None = None
    hop: int = 0
    max_age: int | None = None

    def describe(self) -> str:
        """A phrase for people: ``mean of dep_delay over 1h``."""
        if isinstance(self.spec, Latest):
            age = f" not older than {duration_text(self.max_age)}" if self.max_age else ""
            return f"latest {self.spec.column}{age}"
        what = f" of {self.spec.column}" if self.spec.column else ""
        where = f" where {self.spec.where}" if self.spec.where else ""
        over = f" over {duration_text(self.window)}" if self.window else " over all of history"
        return f"{self.spec.function}{what}{where}{over}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Some of the features of a view; made by ``view["a", "b"]``."""

    view: FeatureView
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Selection of {self.view.name}: {_some(self.names)}>"


def _entity(view: FeatureView, given: Entity) -> Entity:
    return _expect(given, Entity, f"{view.what}: entity")


def _source(view: FeatureView, given: Source) -> Source:
    return _expect(given, Source, f"{view.what}: source")


def _specs(view: FeatureView, given: Iterable[FeatureSpec | str]) -> tuple[FeatureSpec, ...]:
    if isinstance(given, (str, Aggregation, Latest)):
        raise DefinitionError(f"{view.what}: features must be a list; write features=[…]")
    return tuple(_spec(view, feature) for feature in given)


def _spec(view: FeatureView, feature: FeatureSpec | str) -> FeatureSpec:
    if isinstance(feature, str):
        return Latest(check_name(feature, f"{view.what}, feature"))
    if isinstance(feature, Latest):
        return feature
    if not isinstance(feature, Aggregation):
        raise DefinitionError(
            f"{view.what}: a feature is an aggregation such as ns.mean('x', window='1h'), a "
            f"latest value such as ns.latest('x'), or a column's name; got {feature!r}"
        )
    if feature.hops is not None:
        return feature
    hops = tuple(hop_of(w, None if w is None else view.hop, view.what) for w in feature.windows)
    return replace(feature, hops=hops)


def _transform(view: FeatureView, given: Transform | None) -> Transform | None:
    return given.bound(view.source, view.what) if given else None


def _max_age(view: FeatureView, given: Duration | None) -> int | None:
    return window_list(given, f"{view.what}, max_age")[0]


def _freshness(view: FeatureView, given: Duration | None) -> int | None:
    return window_list(given, f"{view.what}, freshness")[0]


def _lateness(view: FeatureView, given: Duration) -> int:
    del view
    return duration_micros(given)


class FeatureView(Described):
    """Features that share a source, a transform and an entity.

    Parameters
    ----------
    name
        An identifier, unique in the project.
    entity, source
        What is described, and the events that describe it.
    features
        Aggregations (``ns.mean("delay", window="1h")``), latest values (``ns.latest("temp")``)
        or plain column names, which mean latest values.
    transform
        ``ns.sql(…)``, ``ns.pyspark(…)``, ``ns.pandas(…)``, ``ns.polars(…)`` or ``ns.arrow(…)``; the
        source's columns if absent.
    max_age
        Latest values older than this count as null; closed at both ends, exact to the µs.
    hop
        The hop of every aggregation of the view that sets none itself; ``"exact"`` too.
    exact_cap
        Events that one exact window of one entity may hold; above it the value is null.
    lateness, late
        Streams: how far behind an event may be and still be on time, and what happens to one
        that is later: ``"fold"`` it anyway, send it to the late ``"table"``, or ``"drop"`` it.
    freshness
        Online values older than this are marked STALE; they are still given.
    online
        Whether ``materialize`` fills the online store.
    description, owner, tags
        For people; not part of the identity.
    """

    noun = "feature view"

    entity: Entity = option(convert=_entity)
    source: Source = option(convert=_source)
    specs: Converted[Iterable[FeatureSpec | str], tuple[FeatureSpec, ...]] = option(
        alias="features", convert=_specs
    )
    transform: Transform | None = option(default=None, convert=_transform)
    max_age: Converted[Duration | None, int | None] = option(default=None, convert=_max_age)
    hop: Duration | None = None
    exact_cap: int = DEFAULT_EXACT_CAP
    lateness: Converted[Duration, int] = option(default=0, convert=_lateness)
    late: str = "fold"
    freshness: Converted[Duration | None, int | None] = option(default=None, convert=_freshness)
    online: bool = True

    def _check(self) -> None:
        what = self.what
        if self.late not in LATE_POLICIES:
            raise DefinitionError(
                f"{what}: late={self.late!r}; {nearest(self.late, LATE_POLICIES)}"
            )
        if isinstance(self.exact_cap, bool) or not 1 <= self.exact_cap <= 100_000:
            raise DefinitionError(f"{what}: exact_cap must be 1 to 100000, got {self.exact_cap!r}")
        if self.lateness < 0:
            raise DefinitionError(f"{what}: lateness must not be negative")
        if not self.specs:
            raise DefinitionError(f"{what}: features must not be empty")
        for key, kind in self.entity.keys.items():
            column_kind = self.columns.get(key)
            if column_kind is None:
                raise DefinitionError(
                    f"{what}: the join key {key!r} of entity {self.entity.name!r} is not among "
                    f"the columns; {nearest(key, self.columns)}"
                )
            if column_kind != kind:
                raise DefinitionError(
                    f"{what}: the join key {key!r} is {kind} in entity {self.entity.name!r} "
                    f"and {column_kind} here"
                )
        clash = self.columns.get(self.source.event_time)
        if clash is not None and clash.kind != "timestamp":
            raise DefinitionError(f"{what}: the transform makes the event time {clash}")
        for spec in self.specs:
            if isinstance(spec, Aggregation):
                spec.check(self.columns, what)
            elif spec.column not in self.columns:
                raise DefinitionError(
                    f"{what}: no column {spec.column!r}; {nearest(spec.column, self.columns)}"
                )
        names = [f.name for f in self.features.values()]
        if len(names) != sum(len(_names(s)) for s in self.specs) or set(names) & set(
            self.entity.keys
        ):
            raise DefinitionError(
                f"{what}: two features, or a feature and a key, have the same name; set name=… "
                f"on one of them. Features: {', '.join(n for s in self.specs for n in _names(s))}"
            )

    @cached_property
    def columns(self) -> Schema:
        """What features can be made of: the transform's output, and the keys it left out."""
        if self.transform is None:
            return self.source.schema
        output = self.transform.output_schema(self.source, f"feature view {self.name!r}")
        carried = {k: t for k, t in self.source.schema.items() if k in self.entity.keys}
        return Schema({**carried, **output})

    @cached_property
    def features(self) -> Mapping[str, Feature]:
        """The features by name, in the order of the definition."""
        features: dict[str, Feature] = {}
        for spec in self.specs:
            if isinstance(spec, Latest):
                age = spec.max_age if spec.max_age is not None else self.max_age
                kind = self.columns[spec.column]
                features[spec.feature_name] = Feature(spec.feature_name, kind, spec, max_age=age)
                continue
            kind = spec.output_dtype(self.columns)
            windows = zip(spec.feature_names(), spec.windows, spec.hops or (), strict=True)
            for name, window, hop in windows:
                features[check_name(name, f"feature view {self.name!r}, feature")] = Feature(
                    name, kind, spec, window, hop
                )
        return features

    @property
    def schema(self) -> Schema:
        """Feature names and types."""
        return Schema({f.name: f.dtype for f in self.features.values()})

    @property
    def native_dialect(self) -> str | None:
        """The dialect whose engine may run the transform itself; None if none may."""
        transform = self.transform
        if isinstance(transform, transforms.SqlTransform) and transform.native:
            return transform.dialect
        return None

    @property
    def has_exact_windows(self) -> bool:
        return any(f.hop == EXACT_HOP for f in self.features.values())

    @property
    def has_partial_rows(self) -> bool:
        """Whether its entities have a row for each partition of the stream, merged when read.

        So it is where the partitions are not by the entity's keys.
        """
        stream = self.source.stream
        return (
            stream is not None
            and stream.has_partitions
            and set(stream.key) != set(self.entity.keys)
        )

    def __getitem__(self, names: str | tuple[str, ...]) -> Selection:
        """Some features of the view: ``view["a"]`` or ``view["a", "b"]``."""
        chosen = (names,) if isinstance(names, str) else tuple(names)
        for name in chosen:
            if name not in self.features:
                raise DefinitionError(
                    f"feature view {self.name!r} has no feature {name!r}; "
                    f"{nearest(name, self.features)}"
                )
        return Selection(self, chosen)

    def __repr__(self) -> str:
        of = f"of {self.entity.name} from {self.source.name}"
        return f"<FeatureView {self.name}: {_some(list(self.features))}, {of}>"

    def log_identity(self) -> dict[str, Any]:
        """What can change which events there are; views that share it share an offline table."""
        kept_out = {"lateness": self.lateness, "late": self.late} if self.late != "fold" else {}
        return {
            "entity": self.entity.identity(),
            "source": self.source.identity(),
            "transform": self.transform.identity() if self.transform else None,
            **kept_out,
        }

    @cached_property
    def log_hash(self) -> str:
        """Names the offline table of transformed events."""
        return definition_digest("log", self.log_identity())

    def identity(self) -> dict[str, Any]:
        """What can change a value (SPEC §9)."""
        return {
            **self.log_identity(),
            "features": [_spec_to_dict(s) for s in self.specs],
            "max_age": self.max_age,
            "exact_cap": self.exact_cap if self.has_exact_windows else None,
            "lateness": self.lateness,
            "late": self.late,
        }

    @cached_property
    def definition_hash(self) -> str:
        """SPEC §9: rows, tables, caches and certificates of different hashes never mix."""
        return definition_digest("feature_view", self.identity())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON data; entity and source by name."""
        return {
            "name": self.name,
            "entity": self.entity.name,
            "source": self.source.name,
            "features": [_spec_to_dict(s) for s in self.specs],
            "transform": self.transform.identity() if self.transform else None,
            "max_age": self.max_age,
            "exact_cap": self.exact_cap,
            "lateness": self.lateness,
            "late": self.late,
            "freshness": self.freshness,
            "online": self.online,
            **self.documentation(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, entity: Entity, source: Source) -> FeatureView:
        """The inverse of :meth:`to_dict`."""
        options = dict(data)
        options["features"] = [_spec_from_dict(s) for s in options["features"]]
        options["transform"] = transforms.from_dict(options["transform"])
        return cls(**{**options, "entity": entity, "source": source})


def _some(names: Sequence[str], most: int = 4) -> str:
    """The first names of a list, and how many there are."""
    rest = f", … ({len(names)} features)" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _names(spec: FeatureSpec) -> tuple[str, ...]:
    return (spec.feature_name,) if isinstance(spec, Latest) else spec.feature_names()


def _spec_to_dict(spec: FeatureSpec) -> dict[str, Any]:
    return {"latest" if isinstance(spec, Latest) else "aggregation": spec.identity()}


def _spec_from_dict(data: Mapping[str, Any]) -> FeatureSpec:
    if "latest" in data:
        return Latest(**data["latest"])
    parts = dict(data["aggregation"])
    return Aggregation(
        **{**parts, "windows": tuple(parts["windows"]), "hops": tuple(parts["hops"])}
    )


def _expect(value: object, kind: type[_Kind], what: str) -> _Kind:
    if not isinstance(value, kind):
        raise DefinitionError(f"{what}: expected {kind.__name__}, got {value!r}")
    return value
