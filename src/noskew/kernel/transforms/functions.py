"""Run a Python transform on a batch: a pandas, a Polars or an Arrow function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from noskew.definitions.sql_engine import ROW
from noskew.definitions.transforms import FunctionTransform
from noskew.errors import TransformError, missing_extra
from noskew.kernel.conform import conform


class FunctionEngine:
    """Calls the function and checks what it returns. ``_row`` as in the SQL engine."""

    def __init__(self, transform: FunctionTransform, what: str) -> None:
        self._transform = transform
        self._what = f"{what}: {transform.function.path}"
        self._run = {"pandas": self._pandas, "polars": self._polars, "arrow": self._arrow}[
            transform.kind
        ]

    def __call__(self, batch: pa.Table) -> pa.Table:
        output, rows = self._run(batch)
        if len(rows) != len(output) or (
            len(rows) and not 0 <= rows.min() <= rows.max() < len(batch)
        ):
            raise TransformError(f"{self._what}: its rows cannot be traced to those of the batch")
        out = conform(output, self._transform.schema, f"{self._what}, output")
        out = out.append_column(ROW, pa.array(rows))
        if (np.diff(rows) > 0).all():
            return out
        if len(np.unique(rows)) < len(rows):
            raise TransformError(f"{self._what}: it makes several rows of one")
        # As the SQL engine does: what the function sorts by must not order its events.
        return out.sort_by(ROW)

    def _call(self, batch: Any) -> Any:
        return self._checked(lambda: self._transform.call(batch))

    def _checked(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:
            raise TransformError(f"{self._what}: {type(error).__name__}: {error}") from error

    def _pandas(self, batch: pa.Table) -> tuple[pa.Table, np.ndarray]:
        try:
            import pandas
        except ImportError as error:
            raise missing_extra("pandas", "pandas", "ns.pandas") from error
        # Plain integers become floats, and bools objects, in batches that have a null, so that
        # the same row would give another value there; these types hold nulls themselves.
        nullable = {pa.bool_(): pandas.BooleanDtype(), **dict(_integers(pandas))}
        frame = batch.to_pandas(types_mapper=nullable.get)
        for name in filter(lambda n: _has_null_items(batch.column(n)), batch.column_names):
            frame[name] = pandas.Series(_arrays(batch.column(name)), frame.index, dtype=object)
        frame_out = self._call(frame)
        if not isinstance(frame_out, pandas.DataFrame):
            raise TransformError(
                f"{self._what}: expected a DataFrame, got {type(frame_out).__name__}"
            )
        if frame_out.index.dtype.kind != "i" or not frame_out.index.is_unique:
            raise TransformError(f"{self._what}: keep the index; it says which row a row is from")
        try:
            table = pa.Table.from_pandas(frame_out, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise TransformError(f"{self._what}: {error}") from error
        return table, frame_out.index.to_numpy(np.int64)

    def _polars(self, batch: pa.Table) -> tuple[pa.Table, np.ndarray]:
        try:
            import polars
        except ImportError as error:
            raise missing_extra("polars", "polars", "ns.polars") from error
        # Every row twice: to Polars a column of one row is a scalar, and x / 3 of two scalars is
        # not what it is of a column (which is multiplied by a third), so that a row that is left
        # alone, in its batch or by a filter, would have another value.
        n = len(batch)
        # Numbered in bytes, so that what a function does with all numbers of a row leaves it alone.
        numbers = pa.py_buffer(np.arange(2 * n).view("V8"))
        places = pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), 2 * n, [None, numbers])
        twice = pa.concat_tables([batch, batch]).combine_chunks().append_column(ROW, places)
        frame_out = self._call(polars.from_arrow(twice))
        if isinstance(frame_out, polars.LazyFrame):
            # The streaming engine cuts a batch into pieces, of one row as it happens.
            lazy = frame_out
            frame_out = self._checked(lambda: lazy.collect(engine="in-memory"))
        if not isinstance(frame_out, polars.DataFrame):
            raise TransformError(
                f"{self._what}: expected a DataFrame, got {type(frame_out).__name__}"
            )
        if ROW in frame_out.columns:
            rows = np.frombuffer(b"".join(frame_out[ROW].to_list()), np.int64)
            kept = frame_out.drop(ROW).to_arrow().filter(pa.array(rows < n))
            return kept, rows[rows < n]
        if len(frame_out) != 2 * n:
            raise TransformError(
                f"{self._what}: {n} rows came in and {len(frame_out) // 2} went out, without the "
                f"column {ROW!r} that says which they are; select it, too"
            )
        return frame_out.to_arrow()[:n], np.arange(n)

    def _arrow(self, batch: pa.Table) -> tuple[pa.Table, np.ndarray]:
        table_out = self._call(batch)
        if not isinstance(table_out, pa.Table):
            raise TransformError(
                f"{self._what}: expected a pyarrow.Table, got {type(table_out).__name__}"
            )
        if len(table_out) != len(batch):
            raise TransformError(
                f"{self._what}: {len(batch)} rows came in and {len(table_out)} went out; an Arrow "
                f"function keeps every row (filter in the source, or use ns.sql)"
            )
        return table_out, np.arange(len(batch))


def _integers(pandas: Any) -> Iterator[tuple[pa.DataType, Any]]:
    for bits in (8, 16, 32, 64):
        yield getattr(pa, f"int{bits}")(), getattr(pandas, f"Int{bits}Dtype")()


def _has_null_items(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if not pa.types.is_list(kind) or not (
        pa.types.is_integer(kind.value_type) or pa.types.is_boolean(kind.value_type)
    ):
        return False
    return any(chunk.flatten().null_count for chunk in column.chunks)


def _arrays(column: pa.ChunkedArray) -> list[Any]:
    """A list of integers or bools as an array, one with nulls as an array of objects.

    pyarrow makes floats of all lists of a batch where one of them has a null.
    """
    dtype = column.type.value_type.to_pandas_dtype()
    return [
        None if value is None else np.array(value, dtype=object if None in value else dtype)
        for value in column.to_pylist()
    ]
