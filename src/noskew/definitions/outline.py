"""Outlines: what lists show of definitions, read from their data.

A list of a thousand services must not make them: each would parse and check the SELECTs of its
views. Whatever stands here is what the definitions themselves would say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from noskew.definitions.project import Project


@dataclass(frozen=True, slots=True)
class ServiceOutline:
    """A line of a list of services; ``features``: how many columns an answer has."""

    name: str
    description: str
    owner: str
    tags: Mapping[str, str]
    join_keys: tuple[str, ...]
    request: tuple[str, ...]
    features: int

    @classmethod
    def of(cls, project: Project, name: str) -> ServiceOutline:
        """The outline of a service of a project."""
        data = project.data("services", name)
        functions = [project.data("on_demand", f) for f in data["on_demand"]]
        read = [*data["views"], *(pair for f in functions for pair in f["inputs"])]
        entities = dict.fromkeys(project.data("views", view)["entity"] for view, _ in read)
        keys = [key for e in entities for key, _ in project.data("entities", e)["keys"]]
        columns = sum(len(names) for _, names in data["views"])
        return cls(
            name,
            data["description"],
            data["owner"],
            data["tags"],
            tuple(dict.fromkeys(keys)),
            tuple(dict.fromkeys(field for f in functions for field, _ in f["request"])),
            columns + sum(len(f["outputs"]) for f in functions),
        )


@dataclass(frozen=True, slots=True)
class ViewOutline:
    """A line of a list of views; ``features``: how many it has."""

    name: str
    entity: str
    source: str
    owner: str
    features: int
    online: bool

    @classmethod
    def of(cls, project: Project, name: str) -> ViewOutline:
        """The outline of a view of a project."""
        data = project.data("views", name)
        features = sum(map(_features, data["features"]))
        return cls(name, data["entity"], data["source"], data["owner"], features, data["online"])


def _features(spec: Mapping[str, Any]) -> int:
    """An aggregation makes a feature of each window."""
    return 1 if "latest" in spec else len(spec["aggregation"]["windows"])


def views_of(project: Project, kind: str, name: str) -> list[str]:
    """The views that describe an ``entity`` or are made of a ``source``, by its name."""
    return [view for view in project.views if project.data("views", view)[kind] == name]


def services_reading(project: Project, view: str) -> list[str]:
    """The services that read a view, also those that need it for an on-demand function only."""
    return [service for service in project.services if view in _views_read(project, service)]


def _views_read(project: Project, service: str) -> set[str]:
    data = project.data("services", service)
    functions = [project.data("on_demand", name) for name in data["on_demand"]]
    return {view for view, _ in [*data["views"], *(p for f in functions for p in f["inputs"])]}
