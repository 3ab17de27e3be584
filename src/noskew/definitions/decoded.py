"""Definitions by name, made from their data when they are first asked for.

A project of a thousand models has thousands of definitions, and a command or a request needs a
few of them. Making one is not free (a SELECT is parsed and checked), so nobody pays for those
that nobody asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from noskew.definitions.checked_sql import remember
from noskew.definitions.entity import Entity
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.service import FeatureService
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView

T = TypeVar("T")
Data = Mapping[str, Any]
#: Calls what makes a definition, to say where the data came from if that raises.
Guard = Callable[[Callable[[], Any]], Any]


class Decoded(Mapping[str, T], Generic[T]):
    """A mapping of names to definitions whose data is there and whose objects are made on use.

    Names, their number and :meth:`data` cost nothing; ``[name]`` makes a definition once, and
    raises what making it raises. May be shared by threads: of two that ask for one name at the
    same time, both get the same object.
    """

    def __init__(self, data: Mapping[str, Data], make: Callable[[Data], T]) -> None:
        self._data, self._make = data, make
        self._items: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        item = self._items.get(name)
        if item is None:
            item = self._items.setdefault(name, self._make(self._data[name]))
        return item

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def data(self, name: str) -> Data:
        """The definition as JSON data, without making it."""
        return self._data[name]

    def ready(self, name: str) -> T | None:
        """The definition if it was made already, else None."""
        return self._items.get(name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} definitions, {len(self._items)} made>"


class DecodedProject:
    """The five mappings of a project, made from its data.

    ``earlier``: an earlier state of the project (a ``Project``). What it has made already, and is
    the same here with all that it refers to, is taken from there. ``outputs``: what the SELECTs
    of views give, for those that were checked. Raises KeyError or TypeError for data of another
    form.
    """

    def __init__(
        self,
        data: Data,
        earlier: Any = None,
        guard: Guard | None = None,
        outputs: Mapping[str, list[list[str]]] | None = None,
    ) -> None:
        self._data, self._earlier, self._guard = data, earlier, guard
        self._outputs = outputs or {}
        self.entities = self._decoded("entities", self._entity)
        self.sources = self._decoded("sources", self._source)
        self.views = self._decoded("views", self._view)
        self.on_demand = self._decoded("on_demand", self._on_demand)
        self.services = self._decoded("services", self._service)

    def _decoded(self, kind: str, make: Callable[[Data], T]) -> Decoded[T]:
        guard = self._guard
        guarded = make if guard is None else lambda data: guard(lambda: make(data))
        return Decoded({d["name"]: d for d in self._data[kind]}, guarded)

    def _entity(self, data: Data) -> Entity:
        return self._same("entities", data) or Entity.from_dict(data)

    def _source(self, data: Data) -> Source:
        return self._same("sources", data) or Source.from_dict(data)

    def _view(self, data: Data) -> FeatureView:
        entity, source = self.entities[data["entity"]], self.sources[data["source"]]
        earlier: FeatureView | None = self._same("views", data)
        if earlier is not None and earlier.entity is entity and earlier.source is source:
            return earlier
        output = self._outputs.get(data["name"])
        if output is not None:
            remember(data, source, output)
        return FeatureView.from_dict(data, entity=entity, source=source)

    def _on_demand(self, data: Data) -> OnDemand:
        earlier: OnDemand | None = self._same("on_demand", data)
        # A function of Python is imported anew: what it calls may be of another day.
        if earlier is not None and earlier.module is None and self._has_views(earlier):
            return earlier
        return OnDemand.from_dict(data, views=self.views)

    def _service(self, data: Data) -> FeatureService:
        earlier: FeatureService | None = self._same("services", data)
        if earlier is not None and self._has_all(earlier):
            return earlier
        return FeatureService.from_dict(data, views=self.views, on_demand=self.on_demand)

    def _same(self, kind: str, data: Data) -> Any:
        """The definition of the earlier state, if it was made and its own data is the same."""
        items = getattr(self._earlier, kind, None)
        name = data["name"]
        if not isinstance(items, Decoded) or name not in items or items.data(name) != data:
            return None
        return items.ready(name)

    def _has_views(self, item: OnDemand) -> bool:
        return all(self.views[s.view.name] is s.view for s in item.inputs)

    def _has_all(self, service: FeatureService) -> bool:
        return all(self.views[v.name] is v for v in service.views) and all(
            self.on_demand[f.name] is f for f in service.on_demand
        )
