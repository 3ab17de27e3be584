"""Python functions, of arrays and of a row, as calls from columns to columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.definitions.on_demand import OnDemand, PerRow
from noskew.errors import TransformError
from noskew.kernel.on_demand.columns import NUMBERS, Column, is_maskable
from noskew.types import DType

#: Columns in, in the order of the function's; columns out, in the order of its outputs.
Call = Callable[[Sequence[Column], int], list[Column]]


def caller(function: OnDemand) -> Call:
    """A Python function as a call of its columns, and of how many rows there are (at least one).

    The call raises TransformError if the function fails, or if it returns other names, lengths or
    types than declared.
    """
    return _of_rows(function) if isinstance(function.function, PerRow) else _of_arrays(function)


def what(function: OnDemand) -> str:
    """What messages call it."""
    return f"on-demand {function.name!r}"


# ---------------------------------------------------------------------- NumPy functions


def _of_arrays(function: OnDemand) -> Call:
    names, wanted = tuple(function.columns), frozenset(function.outputs)
    maskable = [i for i, kind in enumerate(function.columns.values()) if is_maskable(kind)]
    outputs = [_Output(function, name, kind) for name, kind in function.outputs.items()]

    def call(columns: Sequence[Column], n: int) -> list[Column]:
        null: NDArray[np.bool_] | None = None
        for i in maskable:
            valid = columns[i].valid
            if valid is not None:
                null = ~valid if null is None else null | ~valid
        if null is None:
            return once(columns, n, masked=False)
        with_null, without = np.flatnonzero(null), np.flatnonzero(~null)
        if not len(without):
            return once(columns, n, masked=True)
        # What a function makes of an array and of a masked one may differ: 1 / 0 is infinite, or
        # masked. So what a row is given as must not depend on the other rows.
        rows = [without, with_null]
        parts = [
            once([column.take(some) for column in columns], len(some), masked=masked)
            for masked, some in zip((False, True), rows, strict=True)
        ]
        return [Column.joined(pair, rows) for pair in zip(*parts, strict=True)]

    def once(columns: Sequence[Column], n: int, *, masked: bool) -> list[Column]:
        given = {
            name: column.seen(masked=masked) for name, column in zip(names, columns, strict=True)
        }
        try:
            answer = function.call(given)
        except Exception as error:  # the function is the user's: it can raise anything
            raise _failed(function, error) from error
        if (
            type(answer) is not dict and not isinstance(answer, Mapping)
        ) or answer.keys() != wanted:
            raise _other_outputs(function, answer)
        return [output.column(answer[output.name], n) for output in outputs]

    return call


def _failed(function: OnDemand, error: Exception) -> TransformError:
    return TransformError(f"{what(function)}: {type(error).__name__}: {error}")


def _other_outputs(function: OnDemand, outputs: object) -> TransformError:
    came = sorted(map(str, outputs)) if isinstance(outputs, Mapping) else type(outputs).__name__
    wanted = sorted(function.outputs)
    return TransformError(f"{what(function)}: expected the outputs {wanted}, got {came}")


class _Output:
    """One output of a function: what it must be, and how it becomes a column."""

    def __init__(self, function: OnDemand, name: str, kind: DType) -> None:
        self.name, self.kind, self._arrow = name, kind, kind.to_arrow()
        self._where = f"{what(function)}, output {name!r}"
        self._dtype = np.dtype(NUMBERS[kind.kind]) if kind.kind in NUMBERS else None

    def column(self, values: Any, n: int) -> Column:
        """What a function of arrays returned."""
        if type(values) is np.ndarray and values.dtype is self._dtype and values.shape == (n,):
            return Column(self.kind, values)
        mask = None
        if isinstance(values, np.ma.MaskedArray):
            mask, values = np.ma.getmaskarray(values), values.data
        is_scalar = not hasattr(values, "__len__") or getattr(values, "shape", None) == ()
        if is_scalar or len(values) != n:
            raise self._wrong_size(values, n)
        if type(values) is np.ndarray and values.ndim == 1 and values.dtype != object:
            if values.dtype == self._dtype:
                return Column(self.kind, values, None if mask is None or not mask.any() else ~mask)
            return self._in_arrow(lambda: pa.array(values, mask=mask).cast(self._arrow))
        if mask is not None and mask.ndim == 2:
            mask = np.any(mask, axis=1)
        return self._in_arrow(lambda: pa.array(list(values), self._arrow, mask=mask))

    def column_of_items(self, items: Sequence[Any]) -> Column:
        """What a function of one row returned for each."""
        column = Column.of_items(items, self.kind)
        return self._in_arrow(lambda: pa.array(items, self._arrow)) if column is None else column

    def _in_arrow(self, make: Callable[[], pa.Array]) -> Column:
        try:
            return Column(self.kind, arrow=make())
        # Arrow raises Python's own for integers of more than 64 bits and for lone surrogates.
        except (ValueError, TypeError, OverflowError, pa.ArrowNotImplementedError) as error:
            raise TransformError(f"{self._where}: expected {self.kind}: {error}") from error

    def _wrong_size(self, values: Any, n: int) -> TransformError:
        return TransformError(f"{self._where}: expected {n} values, one a row, got {values!r:.60}")


# --------------------------------------------------------------------- functions of a row


def _of_rows(function: OnDemand) -> Call:
    names, wanted = tuple(function.columns), frozenset(function.outputs)
    outputs = [_Output(function, name, kind) for name, kind in function.outputs.items()]
    lone = outputs[0].name if len(outputs) == 1 else None

    def call(columns: Sequence[Column], n: int) -> list[Column]:
        del n
        rows = zip(*[column.objects() for column in columns], strict=True)
        answers = [one(row) for row in rows]
        return [o.column_of_items([row[o.name] for row in answers]) for o in outputs]

    def one(row: tuple[Any, ...]) -> Mapping[str, Any]:
        try:
            answers = function.call(**dict(zip(names, row, strict=True)))
        except Exception as error:  # the function is the user's: it can raise anything
            raise _failed(function, error) from error
        if type(answers) is dict or isinstance(answers, Mapping):
            if answers.keys() == wanted:
                return answers
        elif lone is not None:
            return {lone: answers}
        raise _other_outputs(function, answers)

    return call


def nothing(outputs: Iterable[tuple[str, DType]]) -> dict[str, Column]:
    """The outputs of no rows."""
    return {name: Column(kind, arrow=pa.array([], kind.to_arrow())) for name, kind in outputs}
