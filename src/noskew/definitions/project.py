"""Project: every definition of a project, by kind and name; plain data, checked as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from noskew.definitions.decoded import Decoded, DecodedProject, Guard
from noskew.definitions.entity import Entity
from noskew.definitions.identity import canonical_json
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.service import FeatureService
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import DefinitionError, unknown

Definition = Entity | Source | FeatureView | OnDemand | FeatureService


@dataclass(frozen=True, slots=True, repr=False)
class Project:
    """All definitions of a project. What views and services refer to is always included."""

    entities: Mapping[str, Entity] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    views: Mapping[str, FeatureView] = field(default_factory=dict)
    on_demand: Mapping[str, OnDemand] = field(default_factory=dict)
    services: Mapping[str, FeatureService] = field(default_factory=dict)

    @classmethod
    def of(cls, definitions: Definitions) -> Project:
        """Gather one definition or several, and everything they refer to.

        Raises DefinitionError if one name stands for two different definitions of a kind.
        """
        if isinstance(definitions, Project):
            return definitions
        project = cls({}, {}, {}, {}, {})
        if isinstance(definitions, Definition):
            definitions = [definitions]
        for definition in definitions:
            project._add(definition)
        return project

    def _add(self, item: Definition) -> None:
        if isinstance(item, FeatureService):
            for view in item.views:
                if self.views.get(view.name) is not view:
                    self._add(view)
            for function in item.on_demand:
                self._add(function)
            _put(self.services, item, "feature service")
        elif isinstance(item, OnDemand):
            for selection in item.inputs:
                self._add(selection.view)
            _put(self.on_demand, item, "on-demand")
        elif isinstance(item, FeatureView):
            self._add(item.entity)
            self._add(item.source)
            _put(self.views, item, "feature view")
        elif isinstance(item, Source):
            _put(self.sources, item, "source")
        elif isinstance(item, Entity):
            _put(self.entities, item, "entity")
        else:
            raise DefinitionError(f"expected a definition, got {item!r}")

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, kind))} {kind}" for kind in self.__slots__)
        return f"<Project: {counts}>"

    def service(self, name: str) -> FeatureService:
        """The service of that name, or NotFoundError with the nearest names."""
        if name not in self.services:
            raise unknown("feature service", name, self.services)
        return self.services[name]

    def view(self, name: str) -> FeatureView:
        """The view of that name, or NotFoundError with the nearest names."""
        if name not in self.views:
            raise unknown("feature view", name, self.views)
        return self.views[name]

    def chosen(self, views: str | Iterable[str] | None) -> list[FeatureView]:
        """The views of these names, or all. Raises NotFoundError for one that is not there."""
        if views is None:
            return list(self.views.values())
        return [self.view(name) for name in ([views] if isinstance(views, str) else views)]

    def source(self, name: str) -> Source:
        """The source of that name, or NotFoundError with the nearest names."""
        if name not in self.sources:
            raise unknown("source", name, self.sources)
        return self.sources[name]

    def to_dict(self) -> dict[str, Any]:
        """JSON data of the whole project, in name order."""
        return {
            kind: [self.data(kind, name) for name in sorted(getattr(self, kind))]
            for kind in self.__slots__
        }

    def data(self, kind: str, name: str) -> Mapping[str, Any]:
        """One definition as JSON data; ``kind`` is the name of an attribute, such as ``views``.

        What was read from a registry is not made for it.
        """
        items: Mapping[str, Definition] = getattr(self, kind)
        return items.data(name) if isinstance(items, Decoded) else items[name].to_dict()

    def json(self, kind: str, name: str) -> bytes:
        """As :meth:`data`, as canonical JSON: equal if and only if the definitions are."""
        items: Mapping[str, Definition] = getattr(self, kind)
        if isinstance(items, Decoded):
            return items.json(name)
        return canonical_json(items[name].to_dict())

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any],
        *,
        reuse: Project | None = None,
        guard: Guard | None = None,
        outputs: Mapping[str, list[list[str]]] | None = None,
    ) -> Project:
        """The inverse of :meth:`to_dict`. Definitions are made when they are first asked for.

        Parameters
        ----------
        data
            Definitions by kind; each is parsed, or a ``msgspec.Raw`` of canonical JSON.
        reuse
            An earlier state of the project: what it has made already, and is the same here with
            all that it refers to, is taken from there.
        guard
            Called with what makes a definition, to call it and say where the data came from if
            that raises.
        outputs
            Names and types of what the SELECTs of views give, for those that need no check.

        Raises KeyError or TypeError for data of another form.
        """
        parts = DecodedProject.of(data, reuse, guard, outputs)
        return cls(parts.entities, parts.sources, parts.views, parts.on_demand, parts.services)


#: What can be planned and applied.
Definitions = Project | Definition | Iterable[Definition]


def _put(where: Mapping[str, Any], item: Any, kind: str) -> None:
    earlier = where.get(item.name)
    if earlier is item:
        return
    if earlier is not None and earlier.to_dict() != item.to_dict():
        raise DefinitionError(f"two different definitions of the {kind} {item.name!r}; rename one")
    assert isinstance(where, dict)
    where[item.name] = item
