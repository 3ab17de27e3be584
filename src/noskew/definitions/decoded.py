"""Definitions by name, made from their data when they are first asked for.

A project of a thousand models has thousands of definitions, and a command or a request needs a
few of them. Making one is not free (a SELECT is parsed and checked), so nobody pays for those
that nobody asks for; nor is their JSON parsed.

Nothing here refers to itself, and a state of a project does not hold the one before: a server takes
over many states in its life, and each must go when the next one is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from noskew.definitions.checked_sql import remember
from noskew.definitions.entity import Entity
from noskew.definitions.identity import canonical_json
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.service import FeatureService
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView

T = TypeVar("T")
Data = Mapping[str, Any]
#: Calls what makes a definition, to say where the data came from if that raises.
Guard = Callable[[Callable[[], Any]], Any]


class JsonItems(Mapping[str, Any]):
    """Values by name, each parsed when it is first asked for. ``texts`` are canonical JSON."""

    def __init__(self, texts: Mapping[str, msgspec.Raw]) -> None:
        self._texts = texts
        self._parsed: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        value = self._parsed.get(name)
        if value is None:
            value = self._parsed[name] = msgspec.json.decode(self._texts[name])
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def json(self, name: str) -> bytes:
        """A value as it is written."""
        return bytes(self._texts[name])


class _Named(msgspec.Struct):
    name: str


_NAMED = msgspec.json.Decoder(_Named)


def by_name(items: Iterable[Any]) -> Mapping[str, Data]:
    """Definitions by their name: parsed ones, or texts (``msgspec.Raw``) of canonical JSON."""
    items = list(items)
    if items and isinstance(items[0], msgspec.Raw):
        return JsonItems({_NAMED.decode(text).name: text for text in items})
    return {data["name"]: data for data in items}


class Decoded(Mapping[str, T], Generic[T]):
    """A mapping of names to definitions whose data is there and whose objects are made on use.

    Names, their number and :meth:`data` cost little; ``[name]`` makes a definition once, and
    raises what making it raises. May be shared by threads: of two that ask for one name at the
    same time, both get the same object.

    ``earlier``: the same kind of an earlier state, whose definitions ``make`` is given where they
    were made and their own data is the same.
    """

    def __init__(
        self,
        data: Mapping[str, Data],
        make: Callable[[Data, T | None], T],
        earlier: Mapping[str, T] | None = None,
    ) -> None:
        self._data, self._make = data, make
        self._items: dict[str, T] = {}
        self._earlier: dict[str, T] = {}
        if isinstance(earlier, Decoded):
            self._earlier = {
                name: item
                for name, item in (earlier._earlier | earlier._items).items()
                if name in data and earlier.json(name) == self.json(name)
            }

    def __getitem__(self, name: str) -> T:
        item = self._items.get(name)
        if item is None:
            made = self._make(self._data[name], self._earlier.get(name))
            item = self._items.setdefault(name, made)
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

    def json(self, name: str) -> bytes:
        """The same as canonical JSON."""
        data = self._data
        return data.json(name) if isinstance(data, JsonItems) else canonical_json(data[name])

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} definitions, {len(self._items)} made>"


@dataclass(frozen=True)
class DecodedProject:
    """The five mappings of a project."""

    entities: Decoded[Entity]
    sources: Decoded[Source]
    views: Decoded[FeatureView]
    on_demand: Decoded[OnDemand]
    services: Decoded[FeatureService]

    @classmethod
    def of(
        cls,
        data: Data,
        earlier: Any = None,
        guard: Guard | None = None,
        outputs: Mapping[str, list[list[str]]] | None = None,
    ) -> DecodedProject:
        """Of a project's data, see :func:`by_name`.

        ``earlier``: an earlier state of the project (a ``Project``). What it has made already, and
        is the same here with all that it refers to, is taken from there. ``outputs``: what the
        SELECTs of views give, for those that were checked. Raises KeyError or TypeError for data
        of another form.
        """

        def decoded(kind: str, make: Callable[[Data, T | None], T]) -> Decoded[T]:
            guarded = make if guard is None else _Guarded(make, guard)
            return Decoded(by_name(data[kind]), guarded, getattr(earlier, kind, None))

        entities = decoded("entities", _entity)
        sources = decoded("sources", _source)
        views = decoded("views", _Views(entities, sources, outputs or {}))
        on_demand = decoded("on_demand", _OnDemand(views))
        services = decoded("services", _Services(views, on_demand))
        return cls(entities, sources, views, on_demand, services)


@dataclass(frozen=True)
class _Guarded(Generic[T]):
    make: Callable[[Data, T | None], T]
    guard: Guard

    def __call__(self, data: Data, earlier: T | None) -> T:
        made: T = self.guard(lambda: self.make(data, earlier))
        return made


def _entity(data: Data, earlier: Entity | None) -> Entity:
    return earlier or Entity.from_dict(data)


def _source(data: Data, earlier: Source | None) -> Source:
    return earlier or Source.from_dict(data)


@dataclass(frozen=True)
class _Views:
    entities: Mapping[str, Entity]
    sources: Mapping[str, Source]
    outputs: Mapping[str, list[list[str]]] = field(default_factory=dict)

    def __call__(self, data: Data, earlier: FeatureView | None) -> FeatureView:
        entity, source = self.entities[data["entity"]], self.sources[data["source"]]
        if earlier is not None and earlier.entity is entity and earlier.source is source:
            return earlier
        output = self.outputs.get(data["name"])
        if output is not None:
            remember(data, source, output)
        return FeatureView.from_dict(data, entity=entity, source=source)


@dataclass(frozen=True)
class _OnDemand:
    views: Mapping[str, FeatureView]

    def __call__(self, data: Data, earlier: OnDemand | None) -> OnDemand:
        # A function of Python is imported anew: what it calls may be of another day.
        if earlier is not None and earlier.module is None and self._has_views(earlier):
            return earlier
        return OnDemand.from_dict(data, views=self.views)

    def _has_views(self, item: OnDemand) -> bool:
        return all(self.views[s.view.name] is s.view for s in item.inputs)


@dataclass(frozen=True)
class _Services:
    views: Mapping[str, FeatureView]
    on_demand: Mapping[str, OnDemand]

    def __call__(self, data: Data, earlier: FeatureService | None) -> FeatureService:
        if earlier is not None and self._has_all(earlier):
            return earlier
        return FeatureService.from_dict(data, views=self.views, on_demand=self.on_demand)

    def _has_all(self, service: FeatureService) -> bool:
        return all(self.views[v.name] is v for v in service.views) and all(
            self.on_demand[f.name] is f for f in service.on_demand
        )
