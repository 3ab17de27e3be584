"""Differences of on-demand functions and of feature services."""

from __future__ import annotations

from collections.abc import Mapping

from noskew.definitions.expressions import Expressions
from noskew.definitions.functions import FunctionRef
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.service import FeatureService, ServiceColumn
from noskew.definitions.view import FeatureView
from noskew.registry.difference import (
    STALE,
    Difference,
    Readers,
    column_differences,
    features,
    joined_names,
    shown_change,
)
from noskew.registry.view_differences import changed_values
from noskew.types import Schema


def on_demand(old: OnDemand, new: OnDemand, readers: Readers, *, stale: bool) -> Difference:
    """Breaking: an output goes or changes its type, or the request fields change."""
    difference = Difference()
    features(difference, ("on_demand", old.name), old.outputs, new.outputs, readers)
    column_differences(difference, "request field", old.request, new.request, breaking=True)
    if _computed_differently(difference, old, new):
        difference.add("values change: every feature")
    if list(old.outputs) != list(new.outputs) and not difference.reasons:
        difference.add("order of features")
    if stale:
        difference.add(STALE)
    if old.definition_hash != new.definition_hash and not difference.reasons:
        difference.add(f"reads new definitions of {joined_names(s.view.name for s in new.inputs)}")
    difference.people(old, new)
    return difference


def service(old: FeatureService, new: FeatureService, *, stale: bool) -> Difference:
    """Breaking: the answer loses, retypes or reorders features, or callers must send others."""
    difference = Difference()
    before, after = _answer(old), _answer(new)
    features(difference, ("feature_service", old.name), before, after)
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        # A model that reads positions would take one feature for another, silently.
        order = shown_change(joined_names(before), joined_names(after))
        difference.add(f"order of features: {order}", breaking=True)
    keys = (_sorted(old.join_keys), _sorted(new.join_keys))
    column_differences(difference, "join key", *keys, breaking=True)
    column_differences(
        difference, "request field", _sorted(old.request), _sorted(new.request), breaking=True
    )
    _pins(difference, old, new)
    if stale:
        difference.add(STALE)
    difference.field("full_names", old.full_names, new.full_names)
    if old.to_dict() != new.to_dict() and not difference.reasons:
        difference.add("the same features, written in another way")
    difference.people(old, new)
    return difference


def _answer(item: FeatureService) -> Schema:
    return Schema({column.name: column.dtype for column in item.columns})


def _sorted(schema: Schema) -> Schema:
    # Callers send keys and fields by name; their order means nothing.
    return Schema({name: schema[name] for name in sorted(schema)})


def _computed_differently(difference: Difference, old: OnDemand, new: OnDemand) -> bool:
    """Add why the outputs of a function may have other values; tells whether they may."""
    rewritten = _rewritten(difference, old, new)
    read = difference.field("inputs", _inputs(old), _inputs(new))
    fed = _fed(_views(old), _views(new), {(s.view.name, n) for s in new.inputs for n in s.names})
    if fed:
        difference.add(f"values of inputs change: {joined_names(fed)}")
    return rewritten or read or bool(fed) or old.request != new.request


def _rewritten(difference: Difference, old: OnDemand, new: OnDemand) -> bool:
    """Add how another function, or other expressions, compute the outputs."""
    before, after = old.function, new.function
    if isinstance(before, Expressions) and isinstance(after, Expressions):
        return _reworded(difference, before, after)
    if type(before) is not type(after) or old.title != new.title:
        return difference.field("function", old.title, new.title)
    digests = [f.digest[:8] for f in (before, after) if isinstance(f, FunctionRef)]
    return difference.field(f"source of {new.title}", *digests)


def _reworded(difference: Difference, old: Expressions, new: Expressions) -> bool:
    """Add how expressions of outputs that stay differ, or what gives them their meaning."""
    texts = dict(old.texts)
    kept = [(name, text) for name, text in new.texts if name in texts]
    moved = [difference.field(f"expression of {name}", texts[name], text) for name, text in kept]
    moved += [
        difference.field("dialect", old.dialect, new.dialect),
        difference.field("engine", old.engine, new.engine),
    ]
    if not any(moved) and old.statements != new.statements and dict(new.texts) == texts:
        difference.add(f"translation from {new.dialect}")
        return True
    return any(moved)


def _pins(difference: Difference, old: FeatureService, new: FeatureService) -> None:
    """Definitions that the service pins anew, and the values that change by it."""
    views = {v.name: v for v in old.views}
    functions = {f.name: f for f in old.on_demand}
    for view in new.views:
        if view.name in views and views[view.name].definition_hash != view.definition_hash:
            difference.add(f"pins a new definition of {view.name}")
    for function in new.on_demand:
        before = functions.get(function.name, function)
        if before.definition_hash != function.definition_hash:
            difference.add(f"pins a new definition of {function.name}")
    old_columns = {column.name: column for column in old.columns}
    moved = {v.name: set(changed_values(views[v.name], v)) for v in new.views if v.name in views}
    changed = [
        c.name
        for c in new.columns
        if c.name in old_columns and _revalued(old_columns[c.name], c, moved)
    ]
    if changed:
        difference.add(f"values change: {joined_names(changed)}")


def _revalued(old: ServiceColumn, new: ServiceColumn, moved: Mapping[str, set[str]]) -> bool:
    """Whether two columns of one name may have different values; ``moved``: view → features."""
    if (old.origin.name, old.feature) != (new.origin.name, new.feature):
        return True
    if old.is_stored and new.is_stored:
        return new.feature in moved[new.origin.name]
    if old.is_stored or new.is_stored:
        return True
    return _computed_differently(Difference(), old.origin, new.origin)


def _inputs(item: OnDemand) -> str:
    return joined_names((f"{s.view.name}.{n}" for s in item.inputs for n in s.names), most=1_000)


def _views(item: OnDemand) -> Mapping[str, FeatureView]:
    return {s.view.name: s.view for s in item.inputs}


def _fed(
    old: Mapping[str, FeatureView], new: Mapping[str, FeatureView], read: set[tuple[str, str]]
) -> list[str]:
    """The features read whose values change, as ``view.feature``."""
    return [
        f"{name}.{feature}"
        for name in new
        if name in old
        for feature in changed_values(old[name], new[name])
        if (name, feature) in read
    ]
