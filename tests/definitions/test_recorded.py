"""Hashes and documents stay as they are recorded: rows, tables and registries are found by them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

import noskew as ns
from noskew.definitions.project import Project
from tests.definitions import recorded_definitions as recorded

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text())
DEFINITIONS = {
    f"{kind}.{name}": item
    for kind, items in {
        "entity": recorded.ENTITIES,
        "source": recorded.SOURCES,
        "view": recorded.VIEWS,
        "on_demand": recorded.ON_DEMAND,
        "service": recorded.SERVICES,
    }.items()
    for name, item in items.items()
}


def as_recorded(item: Any) -> dict[str, Any]:
    """Everything of a definition that is kept or shown, the document as its very bytes."""
    hashes = {n: getattr(item, n, None) for n in ("definition_hash", "log_hash")}
    identity = orjson.dumps(item.identity()).decode()
    document = orjson.dumps(item.to_dict()).decode()
    return {**hashes, "identity": identity, "document": document, "repr": repr(item)}


def signature(kind: type) -> list[str]:
    """The parameters that callers and ``help()`` see, in order."""
    parameters = inspect.signature(kind).parameters.values()
    return [f"{p.kind.name}: {p}" for p in parameters]


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_is_what_it_was(name: str) -> None:
    assert as_recorded(DEFINITIONS[name]) == RECORDED["definitions"][name]


def test_everything_recorded_is_still_there() -> None:
    assert set(RECORDED["definitions"]) == set(DEFINITIONS)


@pytest.mark.parametrize(
    "kind", [ns.Entity, ns.Source, ns.FeatureView, ns.OnDemand, ns.FeatureService]
)
def test_signatures_are_what_they_were(kind: type) -> None:
    assert signature(kind) == RECORDED["signatures"][kind.__name__]


def test_recorded_definitions_come_back_from_their_documents() -> None:
    # The data of a frame is in no document.
    kept = [d for n, d in DEFINITIONS.items() if not n.endswith(".frame")]
    project = Project.of(kept)
    data = orjson.dumps(project.to_dict())
    again = Project.from_dict(orjson.loads(data))
    assert orjson.dumps(again.to_dict()) == data
    for kind in ("views", "on_demand", "services"):
        for name, item in getattr(project, kind).items():
            assert getattr(again, kind)[name].definition_hash == item.definition_hash
