"""Run on-demand functions: the same call in training and serving, over columns of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from noskew.definitions.on_demand import OnDemand
from noskew.definitions.service import FeatureService
from noskew.errors import TransformError
from noskew.kernel.conform import conform
from noskew.kernel.values import valid_of
from noskew.types import DType


def compute(
    service: FeatureService, stored: Mapping[str, Mapping[str, pa.Array]], rows: pa.Table
) -> dict[str, dict[str, pa.Array]]:
    """The outputs of every on-demand function of a service, by function and output name.

    ``stored`` holds the features by view; ``rows`` the request fields. Raises
    SchemaMismatchError for request fields that are absent or of another type.
    """
    if not service.on_demand:
        return {}
    request = conform(rows, service.request, f"request fields of {service.name!r}")
    out = {}
    for function in service.on_demand:
        given = {n: stored[s.view.name][n] for s in function.inputs for n in s.names}
        given |= {n: request.column(n).combine_chunks() for n in function.request}
        out[function.name] = run(function, given, len(rows))
    return out


def run(function: OnDemand, inputs: Mapping[str, pa.Array], n: int) -> dict[str, pa.Array]:
    """Call one function on columns of ``n`` rows.

    Raises TransformError if it raises, or returns other names, lengths or types than declared.
    """
    what = f"on-demand {function.name!r}"
    try:
        made = function.call({name: to_numpy(column) for name, column in inputs.items()})
    except Exception as error:
        raise TransformError(f"{what}: {type(error).__name__}: {error}") from error
    if not isinstance(made, Mapping) or set(made) != set(function.outputs):
        came = sorted(made) if isinstance(made, Mapping) else type(made).__name__
        raise TransformError(f"{what}: expected the outputs {sorted(function.outputs)}, got {came}")
    return {
        name: _from_numpy(made[name], kind, n, f"{what}, output {name!r}")
        for name, kind in function.outputs.items()
    }


def to_numpy(column: pa.Array) -> Any:
    """A column as a function sees it.

    Numbers and bools: plain, or masked (``numpy.ma``) where some are null. Vectors without nulls:
    two-dimensional. Other types: objects, None for null.
    """
    kind = column.type
    if pa.types.is_fixed_size_list(kind) and not column.null_count:
        return to_numpy(column.flatten()).reshape(len(column), kind.list_size)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return np.array(column.to_pylist(), dtype=object)
    if not column.null_count:
        return column.to_numpy(zero_copy_only=False)
    filled = column.fill_null(False if pa.types.is_boolean(kind) else 0)
    return np.ma.masked_array(filled.to_numpy(zero_copy_only=False), mask=~valid_of(column))


def _from_numpy(values: Any, kind: DType, n: int, what: str) -> pa.Array:
    if not hasattr(values, "__len__") or len(values) != n:
        raise TransformError(f"{what}: expected {n} values, one a row, got {values!r:.60}")
    mask = None
    if isinstance(values, np.ma.MaskedArray):
        mask, values = np.ma.getmaskarray(values), values.data
    try:
        if isinstance(values, np.ndarray) and values.dtype != object:
            return pa.array(values, mask=mask).cast(kind.to_arrow())
        return pa.array(list(values), kind.to_arrow(), mask=mask)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise TransformError(f"{what}: expected {kind}: {error}") from error
