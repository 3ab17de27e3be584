"""OnDemand: features computed from stored features and request fields, after retrieval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from noskew.definitions.declared import Converted, option
from noskew.definitions.described import Described
from noskew.definitions.engines import installed_engine
from noskew.definitions.expressions import Expressions
from noskew.definitions.functions import FunctionRef, function_ref
from noskew.definitions.identity import definition_digest
from noskew.definitions.view import FeatureView, Selection
from noskew.errors import DefinitionError
from noskew.types import Schema


class PerRow(FunctionRef):
    """A function that is called for each row; see :func:`per_row`."""

    __slots__ = ()


def per_row(function: Callable[..., Any]) -> PerRow:
    """A function of one row, as an on-demand function: ``OnDemand("tier", ns.per_row(tier), …)``.

    It is called for each row, with the row's inputs and request fields as keyword arguments:
    bool, int, float, str, bytes, date, Decimal, datetime with the zone UTC, or a list of those;
    None for null. It returns a mapping of output name to such a value, or, if there is one output,
    the value itself. Python's cost is paid for each row: some µs, so seconds for a million.
    """
    reference = function_ref(function, "ns.per_row")
    return PerRow(reference.path, reference.digest)


def _function(
    definition: OnDemand, given: Callable[..., Any] | FunctionRef | Expressions
) -> FunctionRef | Expressions:
    if isinstance(given, FunctionRef | Expressions):
        return given
    return function_ref(given, definition.what)


def _inputs(
    definition: OnDemand, given: Iterable[FeatureView | Selection]
) -> tuple[Selection, ...]:
    return tuple(select(item, definition.what) for item in given)


def _request(definition: OnDemand, given: Mapping[str, Any] | None) -> Schema:
    return Schema(given, where=f"{definition.what}, request field")


def _outputs(definition: OnDemand, given: Mapping[str, Any] | None) -> Schema:
    return Schema(given, where=f"{definition.what}, output")


class OnDemand(Described):
    """Features computed by a function, by the same code in training and serving.

    What a row's outputs are depends on that row alone: on no other row of the batch, on no size,
    and on no null elsewhere. It is one of

    - a NumPy function. It gets one argument: a mapping of column name to read-only NumPy array, one
      item per row, holding exactly the declared inputs and request fields. It returns a mapping of
      output name to array (masked or None items are null) of as many rows, and must be row-wise.
      Rows in which no number, bool or vector is null are given to it together, as arrays of their
      NumPy types; all others in a call of their own, in which all numbers, bools and vectors are
      ``numpy.ma`` masked arrays. So what an array is follows from the row, whatever batch it is in.
      Other types are object arrays, with None for null. Without rows it is not called.
    - ``ns.per_row(function)``: a plain Python function of one row's values.
    - ``ns.expressions({"slack": "scheduled - typical"})``: SQL expressions; see there.

    Parameters
    ----------
    name
        An identifier, unique in the project.
    function
        A function at the top of a module, recorded by import path and source digest; or
        ``ns.per_row(…)`` of one; or ``ns.expressions({…})``.
    inputs
        Views or selections of views: ``[weather["wind_dir", "wind_speed"]]``.
    request
        Fields that the caller sends with each row, and their types.
    outputs
        Names and types of the features it makes. Expressions have types of their own: leave it
        out, or have them checked.
    """

    noun = "on-demand"

    function: Converted[
        Callable[..., Any] | FunctionRef | Expressions, FunctionRef | Expressions
    ] = option(kw_only=False, convert=_function)
    inputs: Converted[Iterable[FeatureView | Selection], tuple[Selection, ...]] = option(
        default=(), convert=_inputs
    )
    request: Converted[Mapping[str, Any] | None, Schema] = option(default=None, convert=_request)
    outputs: Converted[Mapping[str, Any] | None, Schema] = option(default=None, convert=_outputs)

    def _check(self) -> None:
        names = [n for s in self.inputs for n in s.names] + list(self.request)
        if len(set(names)) != len(names):
            twice = sorted({n for n in names if names.count(n) > 1})
            raise DefinitionError(f"{self.what}: two inputs are named {twice[0]!r}")
        if not names:
            raise DefinitionError(
                f"{self.what}: it has no inputs; give inputs=[…] or request={{…}}"
            )
        if isinstance(self.function, Expressions):
            self._bind(self.function)
        elif not self.outputs:
            raise DefinitionError(f"{self.what}: outputs must not be empty")

    def _bind(self, function: Expressions) -> None:
        """Bind expressions to the columns; outputs that are not declared are theirs."""
        declared = self.outputs
        if declared and function.engine != installed_engine("sql"):
            return  # what the engine that it was applied with gave; no other engine may run it
        bound, outputs = function.bound(self.columns, self.what)
        if declared and dict(declared) != dict(outputs):
            raise DefinitionError(
                f"{self.what}: outputs={{…}} declares {declared}, and its expressions give "
                f"{outputs}; write a CAST where another type is meant, or leave outputs out"
            )
        self._fill(function=bound, outputs=outputs)

    @cached_property
    def columns(self) -> Schema:
        """What it is given: its inputs and request fields, and their types."""
        stored = {n: s.view.features[n].dtype for s in self.inputs for n in s.names}
        return Schema({**stored, **self.request})

    @cached_property
    def call(self) -> Callable[..., Any]:
        """The Python function, imported once and checked against the digest."""
        if isinstance(self.function, Expressions):
            raise TypeError(f"on-demand {self.name!r} is made of expressions, and no function")
        return self.function.load()

    @property
    def title(self) -> str:
        """What computes it, for people."""
        if isinstance(self.function, Expressions):
            return self.function.title
        each = ", row by row" if isinstance(self.function, PerRow) else ""
        return f"{self.function.path}{each}"

    @property
    def module(self) -> str | None:
        """The module of its Python function; None for expressions."""
        if isinstance(self.function, Expressions):
            return None
        return self.function.path.partition(":")[0]

    def __repr__(self) -> str:
        return f"<OnDemand {self.name}: {', '.join(self.outputs)} by {self.title}>"

    def identity(self) -> dict[str, Any]:
        """What can change a value."""
        return {
            **self._computed_by(),
            "inputs": [(s.view.definition_hash, list(s.names)) for s in self.inputs],
            "request": self.request.pairs(),
            "outputs": self.outputs.pairs(),
        }

    def _computed_by(self) -> dict[str, Any]:
        """The function or expressions, as data; NumPy functions have no kind."""
        if isinstance(self.function, Expressions):
            return self.function.identity()
        named = {"function": self.function.path, "digest": self.function.digest}
        return {"kind": "per_row", **named} if isinstance(self.function, PerRow) else named

    @cached_property
    def definition_hash(self) -> str:
        return definition_digest("on_demand", self.identity())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON data; views by name."""
        return {
            "name": self.name,
            **self._computed_by(),
            "inputs": [[s.view.name, list(s.names)] for s in self.inputs],
            "request": self.request.pairs(),
            "outputs": self.outputs.pairs(),
            **self.documentation(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, views: Mapping[str, FeatureView]) -> OnDemand:
        """The inverse of :meth:`to_dict`."""
        options = {name: value for name, value in data.items() if name not in _COMPUTED_BY}
        options["function"] = _computed_by(data)
        options["inputs"] = [views[view][tuple(names)] for view, names in data["inputs"]]
        for schema in ("request", "outputs"):
            options[schema] = dict(data[schema])
        return cls(**options)


#: What a document says of the function or expressions.
_COMPUTED_BY = frozenset(
    {"kind", "function", "digest", "expressions", "engine", "dialect", "statements"}
)


def _computed_by(data: Mapping[str, Any]) -> FunctionRef | Expressions:
    kind = data.get("kind")
    if kind == "expressions":
        return Expressions.from_dict(data)
    reference = PerRow if kind == "per_row" else FunctionRef
    return reference(data["function"], data["digest"])


def select(item: object, what: str) -> Selection:
    """A view means all of its features; a selection means itself."""
    if isinstance(item, FeatureView):
        return Selection(item, tuple(item.features))
    if isinstance(item, Selection):
        return item
    raise DefinitionError(f"{what}: expected a feature view or view['a', 'b'], got {item!r}")
