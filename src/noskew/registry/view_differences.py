"""Differences of feature views: what is served, which values change, and why."""

from __future__ import annotations

from noskew.clock import duration_text
from noskew.definitions.aggregation import Aggregation, Latest
from noskew.definitions.transforms import (
    FunctionTransform,
    PySparkTransform,
    SqlTransform,
    Transform,
)
from noskew.definitions.view import Feature, FeatureView
from noskew.definitions.windows import EXACT_HOP
from noskew.registry.difference import (
    STALE,
    Difference,
    Readers,
    column_differences,
    features,
    joined_names,
)
from noskew.registry.source_differences import source_values

_AGGREGATION_FIELDS = ("function", "column", "where", "n", "q", "cap", "nulls")


def view(old: FeatureView, new: FeatureView, readers: Readers, *, stale: bool) -> Difference:
    """Breaking: a feature goes or changes its type, or the join keys change."""
    difference = Difference()
    features(difference, ("feature_view", old.name), old.schema, new.schema, readers)
    changed = _values(difference, old, new)
    if stale:
        difference.add(STALE)
        changed = _common(old, new)
    if changed:
        every = changed == _common(old, new)
        difference.add(f"values change: {'every feature' if every else joined_names(changed)}")
    if old.definition_hash != new.definition_hash and not difference.reasons:
        difference.add("the same features, written in another way")
    difference.duration("freshness", old.freshness, new.freshness)
    difference.field("online", old.online, new.online)
    if old.exact_cap != new.exact_cap and not (old.has_exact_windows or new.has_exact_windows):
        difference.field("exact_cap", old.exact_cap, new.exact_cap)
    difference.people(old, new)
    return difference


def changed_values(old: FeatureView, new: FeatureView) -> list[str]:
    """Features on both sides whose values may differ, in the order of the definition."""
    return _values(Difference(), old, new)


def _common(old: FeatureView, new: FeatureView) -> list[str]:
    return [name for name in old.features if name in new.features]


def _values(difference: Difference, old: FeatureView, new: FeatureView) -> list[str]:
    """Add the reasons why values change; the features whose do."""
    if old.definition_hash == new.definition_hash:
        return []
    common = _common(old, new)
    if common != [name for name in new.features if name in old.features]:
        difference.add("order of features")
    # Reads all: each adds its reason.
    if any([_events(difference, old, new), _lateness(difference, old, new)]):
        for name in common:
            _feature(difference, old.features[name], new.features[name])
        return common
    capped = (
        old.has_exact_windows
        and new.has_exact_windows
        and difference.field("exact_cap", old.exact_cap, new.exact_cap)
    )
    return [
        name
        for name in common
        if _feature(difference, old.features[name], new.features[name])
        or old.schema[name] != new.schema[name]
        or (capped and new.features[name].hop == EXACT_HOP)
    ]


def _events(difference: Difference, old: FeatureView, new: FeatureView) -> bool:
    """Differences in the events themselves: entity, source, transform."""
    named = difference.field("entity", old.entity.name, new.entity.name)
    keyed = column_differences(
        difference, "join key", old.entity.keys, new.entity.keys, breaking=True
    )
    if old.source.name != new.source.name:
        difference.field("source", old.source.name, new.source.name)
        sourced = True
    else:
        inner = Difference()
        sourced = source_values(inner, old.source, new.source)
        for reason in inner.reasons:
            difference.add(f"source {new.source.name}: {reason}")
    return any([named, keyed, sourced, _transform(difference, old.transform, new.transform)])


def _transform(difference: Difference, old: Transform | None, new: Transform | None) -> bool:
    if old == new:
        return False
    if isinstance(old, SqlTransform) and isinstance(new, SqlTransform):
        difference.field("engine of the transform", old.engine, new.engine)
        difference.field("dialect of the transform", old.dialect, new.dialect)
        difference.field("native", old.native, new.native)
        if not difference.field("transform", old.text, new.text):
            difference.field("statement of the transform", old.statement, new.statement)
        return True
    if not (isinstance(old, FunctionTransform) and isinstance(new, FunctionTransform)):
        return difference.field("transform", _transform_text(old), _transform_text(new))
    difference.field("engine of the transform", old.engine, new.engine)
    if not difference.field("transform", old.function.path, new.function.path):
        difference.field(
            "source of the transform", old.function.digest[:8], new.function.digest[:8]
        )
    column_differences(difference, "transformed column", old.schema, new.schema)
    return True


def _transform_text(transform: Transform | None) -> str | None:
    if transform is None:
        return None
    if isinstance(transform, SqlTransform) and not isinstance(transform, PySparkTransform):
        return f"{transform.title} {transform.text}"
    return transform.title


def _lateness(difference: Difference, old: FeatureView, new: FeatureView) -> bool:
    moved = difference.duration("lateness", old.lateness, new.lateness)
    return difference.field("late", old.late, new.late) or moved


def _feature(difference: Difference, old: Feature, new: Feature) -> bool:
    """Add how one feature is computed differently; tells whether it is."""
    before = len(difference.reasons)
    name = new.name
    if isinstance(old.spec, Aggregation) and isinstance(new.spec, Aggregation):
        for part in _AGGREGATION_FIELDS:
            difference.field(f"{part} of {name}", getattr(old.spec, part), getattr(new.spec, part))
        difference.field(f"window of {name}", _window(old), _window(new))
        if old.window and new.window:
            difference.field(f"hop of {name}", _hop(old), _hop(new))
    elif isinstance(old.spec, Latest) and isinstance(new.spec, Latest):
        difference.field(f"column of {name}", old.spec.column, new.spec.column)
        difference.duration(f"max_age of {name}", old.max_age, new.max_age)
    else:
        difference.field(f"definition of {name}", old.describe(), new.describe())
    return len(difference.reasons) > before


def _window(feature: Feature) -> str:
    return duration_text(feature.window) if feature.window else "all of history"


def _hop(feature: Feature) -> str:
    return "exact" if feature.hop == EXACT_HOP else duration_text(feature.hop)
