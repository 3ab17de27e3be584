"""Differences of entities and of sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noskew.definitions.connectors import Connector
from noskew.definitions.entity import Entity
from noskew.definitions.source import Source
from noskew.registry.difference import Difference, column_differences

#: Of a connector's fields the ones that say where the data is. Others may hold credentials
#: and are never shown.
_PLACES = ("path", "table", "topic", "sql")


def entity(old: Entity, new: Entity) -> Difference:
    """Other keys are breaking: callers send them. Another order of them is not."""
    difference = Difference()
    column_differences(difference, "join key", old.keys, new.keys, breaking=True)
    difference.people(old, new)
    return difference


def source(old: Source, new: Source) -> Difference:
    """Nothing about a source breaks a reader; what its views must rebuild they say themselves."""
    difference = Difference()
    source_values(difference, old, new)
    for name in sorted(old.schema.keys() & new.schema.keys()):
        theirs = (s.columns.get(name, name) for s in (old, new))
        difference.field(f"column {name} in the data", *theirs)
    for role in ("batch", "stream"):
        _connector(difference, role, getattr(old, role), getattr(new, role))
    difference.field("changes", old.changes, new.changes)
    difference.field("cursor", old.cursor, new.cursor)
    difference.people(old, new)
    return difference


def source_values(difference: Difference, old: Source, new: Source) -> bool:
    """What of a source can change a value (SPEC §9); tells whether anything does."""
    before = len(difference.reasons)
    column_differences(difference, "column", old.schema, new.schema)
    for name in sorted(old.schema.keys() & new.schema.keys()):
        difference.field(f"unit of {name}", *(s.schema.units.get(name) for s in (old, new)))
    for role in ("event_time", "created", "event_id", "filter"):
        difference.field(role, getattr(old, role), getattr(new, role))
    difference.duration("max_future", old.max_future, new.max_future)
    if old.event_id and new.event_id:
        difference.duration("event_id_horizon", old.event_id_horizon, new.event_id_horizon)
    difference.field("streamed", *("yes" if s.stream else "no" for s in (old, new)))
    return len(difference.reasons) > before


def connector_data(connector: Connector | None) -> Mapping[str, Any]:
    """A connector as data. A frame lives in one process, so a registry knows it as none."""
    data = connector.to_dict() if connector is not None else {"kind": "frame"}
    return {} if data["kind"] == "frame" else data


def _connector(
    difference: Difference, role: str, old: Connector | None, new: Connector | None
) -> None:
    before, after = connector_data(old), connector_data(new)
    if before == after:
        return
    if _place(before) == _place(after):
        difference.add(f"{role}: options of {_place(after)}")
    else:
        difference.field(role, _place(before), _place(after))


def _place(data: Mapping[str, Any]) -> str | None:
    if not data:
        return None
    where = next((str(data[key]) for key in _PLACES if key in data), "")
    return f"{data['kind']} {where}"
