"""OnDemand: features computed from stored features and request fields, after retrieval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from noskew.definitions.functions import FunctionRef, function_ref
from noskew.definitions.identity import definition_digest
from noskew.definitions.view import FeatureView, Selection
from noskew.errors import DefinitionError
from noskew.types import Schema, check_name


@dataclass(frozen=True)
class OnDemand:
    """Features computed by a function, by the same code in training and serving.

    The function gets one argument: a mapping of column name to NumPy array, one item per row,
    holding exactly the declared inputs and request fields. Numbers and bools arrive as their
    NumPy type when no value is null, otherwise as ``numpy.ma`` masked arrays; other types as
    object arrays with None for null. It returns a mapping of output name to array (masked or
    None items are null) of as many rows, and must be row-wise.

    Parameters
    ----------
    name
        An identifier, unique in the project.
    function
        A function at the top of a module; recorded by import path and source digest.
    inputs
        Views or selections of views: ``[weather["wind_dir", "wind_speed"]]``.
    request
        Fields that the caller sends with each row, and their types.
    outputs
        Names and types of the features it makes.
    """

    name: str
    function: FunctionRef
    inputs: tuple[Selection, ...]
    request: Schema
    outputs: Schema
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def __init__(
        self,
        name: str,
        function: Callable[..., Any] | FunctionRef,
        *,
        outputs: Mapping[str, Any],
        inputs: Iterable[FeatureView | Selection] = (),
        request: Mapping[str, Any] | None = None,
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        put = object.__setattr__
        what = f"on-demand {check_name(name, 'on-demand')!r}"
        put(self, "name", name)
        ref = function if isinstance(function, FunctionRef) else function_ref(function, what)
        put(self, "function", ref)
        put(self, "inputs", tuple(select(i, what) for i in inputs))
        put(self, "request", Schema(request, where=f"{what}, request field"))
        put(self, "outputs", Schema(outputs, where=f"{what}, output"))
        put(self, "description", description)
        put(self, "owner", owner)
        put(self, "tags", dict(tags or {}))
        if not self.outputs:
            raise DefinitionError(f"{what}: outputs must not be empty")
        names = [n for s in self.inputs for n in s.names] + list(self.request)
        if len(set(names)) != len(names):
            twice = sorted({n for n in names if names.count(n) > 1})
            raise DefinitionError(f"{what}: two inputs are named {twice[0]!r}")
        if not names:
            raise DefinitionError(f"{what}: it has no inputs; give inputs=[…] or request={{…}}")

    @cached_property
    def call(self) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        """The function itself, imported once and checked against the digest."""
        return self.function.load()

    def __repr__(self) -> str:
        return f"<OnDemand {self.name}: {', '.join(self.outputs)} by {self.function.path}>"

    def __hash__(self) -> int:
        return hash((self.name, self.function))

    def identity(self) -> dict[str, Any]:
        """What can change a value."""
        return {
            "function": self.function.path,
            "digest": self.function.digest,
            "inputs": [(s.view.definition_hash, list(s.names)) for s in self.inputs],
            "request": list(self.request.texts().items()),
            "outputs": list(self.outputs.texts().items()),
        }

    @cached_property
    def definition_hash(self) -> str:
        return definition_digest("on_demand", self.identity())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON data; views by name."""
        return {
            "name": self.name,
            "function": self.function.path,
            "digest": self.function.digest,
            "inputs": [(s.view.name, list(s.names)) for s in self.inputs],
            "request": list(self.request.texts().items()),
            "outputs": list(self.outputs.texts().items()),
            "description": self.description,
            "owner": self.owner,
            "tags": dict(self.tags),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, views: Mapping[str, FeatureView]) -> OnDemand:
        """The inverse of :meth:`to_dict`."""
        return cls(
            data["name"],
            FunctionRef(data["function"], data["digest"]),
            inputs=[views[view][tuple(names)] for view, names in data["inputs"]],
            request=dict(data["request"]),
            outputs=dict(data["outputs"]),
            description=data["description"],
            owner=data["owner"],
            tags=data["tags"],
        )


def select(item: object, what: str) -> Selection:
    """A view means all of its features; a selection means itself."""
    if isinstance(item, FeatureView):
        return Selection(item, tuple(item.features))
    if isinstance(item, Selection):
        return item
    raise DefinitionError(f"{what}: expected a feature view or view['a', 'b'], got {item!r}")
