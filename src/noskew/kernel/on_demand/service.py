"""The on-demand functions of a service, over its stored features and request fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa

from noskew.definitions.expressions import Expressions
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.service import FeatureService
from noskew.kernel.conform import conform
from noskew.kernel.on_demand.columns import Column
from noskew.kernel.on_demand.computed import Computed
from noskew.kernel.on_demand.functions import caller, nothing
from noskew.types import DType

#: Some features of a view, and a request field, as columns of these types.
StoredColumns = Callable[[str, Sequence[tuple[str, DType]]], Iterable[Column]]
Asked = Callable[[str, DType], Column]
#: A view ("" for the request), and the feature or field.
OutputPlace = tuple[str, str]


class OnDemandFunctions:
    """The on-demand functions of a service, compiled once for many batches of rows.

    All expressions become one program, so that what several have in common is computed once, and
    a column that several functions read is asked for once. Raises TransformError if one was applied
    with another engine.
    """

    def __init__(self, service: FeatureService) -> None:
        self._outputs = [(f.name, f.outputs) for f in service.on_demand]
        places = {p: k for f in service.on_demand for p, k in _places(f).values()}
        of_view: dict[str, list[tuple[str, DType]]] = {}
        for (view, name), kind in places.items():
            of_view.setdefault(view, []).append((name, kind))
        self._fields = of_view.pop("", [])
        self._stored = list(of_view.items())
        order = [(view, name) for view, wanted in self._stored for name, _ in wanted]
        order += [("", name) for name, _ in self._fields]
        numbers = {place: number for number, place in enumerate(order)}
        of_sql = [f for f in service.on_demand if isinstance(f.function, Expressions)]
        self._computed = Computed([(f, _numbers(f, numbers)) for f in of_sql]) if of_sql else None
        self._calls = [
            (f.name, list(f.outputs), caller(f), list(_numbers(f, numbers).values()))
            for f in service.on_demand
            if f not in of_sql
        ]

    def __call__(self, stored: StoredColumns, asked: Asked, n: int) -> dict[str, dict[str, Column]]:
        """The outputs of every function for ``n`` rows, by function and output name.

        Raises TransformError if a function fails, or returns other names, lengths or types than
        declared.
        """
        if not n:
            return {name: nothing(outputs.items()) for name, outputs in self._outputs}
        given: list[Column] = []
        for view, wanted in self._stored:
            given += stored(view, wanted)
        given += [asked(name, kind) for name, kind in self._fields]
        results = {} if self._computed is None else self._computed(given, n)
        if not self._calls:
            return results
        for function, outputs, call, numbers in self._calls:
            columns = call([given[i] for i in numbers], n)
            results[function] = dict(zip(outputs, columns, strict=True))
        return {name: results[name] for name, _ in self._outputs}


def _places(function: OnDemand) -> Mapping[str, tuple[OutputPlace, DType]]:
    """Where each column that a function takes comes from, and its type."""
    owner = {n: s.view.name for s in function.inputs for n in s.names}
    return {n: ((owner.get(n, ""), n), kind) for n, kind in function.columns.items()}


def _numbers(function: OnDemand, numbers: Mapping[OutputPlace, int]) -> dict[str, int]:
    return {name: numbers[place] for name, (place, _) in _places(function).items()}


def compute(
    service: FeatureService, stored: Mapping[str, Mapping[str, pa.Array]], rows: pa.Table
) -> dict[str, dict[str, pa.Array]]:
    """The outputs of every on-demand function of a service, by function and output name.

    ``stored`` holds the features by view; ``rows`` the request fields. Raises
    SchemaMismatchError for request fields that are absent or of another type, TransformError for
    a function that fails.
    """
    if not service.on_demand:
        return {}
    request = conform(rows, service.request, f"request fields of {service.name!r}")

    def features(view: str, wanted: Sequence[tuple[str, DType]]) -> list[Column]:
        return [Column(kind, arrow=stored[view][name]) for name, kind in wanted]

    def field(name: str, kind: DType) -> Column:
        return Column(kind, arrow=request.column(name).combine_chunks())

    by_function = OnDemandFunctions(service)(features, field, len(rows))
    return {function: _in_arrow(outputs) for function, outputs in by_function.items()}


def call_function(
    function: OnDemand, inputs: Mapping[str, pa.Array], n: int
) -> dict[str, pa.Array]:
    """Call one function on columns of ``n`` rows, of the types that it declares.

    Raises TransformError if it fails, or returns other names, lengths or types than declared.
    """
    if not n:
        return _in_arrow(nothing(function.outputs.items()))
    given = [Column(kind, arrow=inputs[name]) for name, kind in function.columns.items()]
    if isinstance(function.function, Expressions):
        numbers = {name: i for i, name in enumerate(function.columns)}
        return _in_arrow(Computed([(function, numbers)])(given, n)[function.name])
    return _in_arrow(dict(zip(function.outputs, caller(function)(given, n), strict=True)))


def _in_arrow(columns: Mapping[str, Column]) -> dict[str, pa.Array]:
    return {name: column.arrow() for name, column in columns.items()}
