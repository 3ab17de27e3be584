"""Differences by kind: what is said of a definition that comes, goes, or changes."""

from __future__ import annotations

from noskew.definitions.entity import Entity
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.project import Definition
from noskew.definitions.service import FeatureService
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.registry import service_differences, source_differences, view_differences
from noskew.registry.difference import Difference, Readers, features, joined_names
from noskew.types import Schema


def added(new: Definition) -> Difference:
    """What a new definition brings; never breaking."""
    difference = Difference()
    if isinstance(new, Entity):
        difference.add(f"join keys {new.keys}")
    elif isinstance(new, Source):
        difference.add(f"{len(new.schema)} columns, event time {new.event_time}")
    elif isinstance(new, FeatureView):
        for feature in new.features.values():
            difference.add(f"adds feature {feature.name} ({feature.dtype}): {feature.describe()}")
    elif isinstance(new, OnDemand):
        features(difference, ("on_demand", new.name), Schema(), new.outputs)
    else:
        difference.add(f"reads {joined_names(column.name for column in new.columns)}")
    return difference


def removed(old: Definition, readers: Readers) -> Difference:
    """What goes with a definition. Features and services are missed, so that is breaking."""
    difference = Difference()
    if isinstance(old, FeatureView):
        features(difference, ("feature_view", old.name), old.schema, Schema(), readers)
    elif isinstance(old, OnDemand):
        features(difference, ("on_demand", old.name), old.outputs, Schema(), readers)
    elif isinstance(old, FeatureService):
        difference.add("its readers will not find it", breaking=True)
    else:
        difference.add("no view is made of it any more")
    return difference


def changed(old: Definition, new: Definition, readers: Readers, *, stale: bool) -> Difference:
    """How two definitions of one kind and name differ; no reasons if they do not.

    ``stale``: the hash under which ``old`` was applied is not the one it has today.
    """
    if isinstance(old, Entity) and isinstance(new, Entity):
        return source_differences.entity(old, new)
    if isinstance(old, Source) and isinstance(new, Source):
        return source_differences.source(old, new)
    if isinstance(old, FeatureView) and isinstance(new, FeatureView):
        return view_differences.view(old, new, readers, stale=stale)
    if isinstance(old, OnDemand) and isinstance(new, OnDemand):
        return service_differences.on_demand(old, new, readers, stale=stale)
    assert isinstance(old, FeatureService)
    assert isinstance(new, FeatureService)
    return service_differences.service(old, new, stale=stale)
