"""Rows as callers give them, in any form that a read or a push takes, as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from noskew.errors import InputError


def as_columns(rows: Any, takes: Callable[[str], bool] = lambda name: True) -> dict[str, Any]:
    """Rows in any form that a read takes, as columns. Raises InputError for other forms.

    ``takes`` says of each name whether there is to be a column of it, or raises. It is asked
    before a column is made: a few bytes of a list of rows can name as many columns as there are
    rows, each of them as long as the list.
    """
    if isinstance(rows, Mapping):
        return {name: values for name, values in rows.items() if takes(name)}
    if isinstance(rows, (list, tuple)):
        names = {name: None for row in rows for name in row} if _are_mappings(rows) else {}
        if rows and not names:
            raise InputError("rows must be mappings such as {'origin': 'JFK'}")
        return {name: [row.get(name) for row in rows] for name in names if takes(name)}
    if not hasattr(rows, "__arrow_c_stream__") and not hasattr(rows, "to_dict"):
        raise InputError(
            f"expected columns such as {{'origin': ['JFK', 'EWR']}}, a list of rows, or a frame; "
            f"got {type(rows).__name__}"
        )
    import pyarrow as pa  # only frames need it, and it takes longer than all else that clients load

    if hasattr(rows, "__arrow_c_stream__"):
        table = pa.table(rows)
    else:
        table = pa.Table.from_pandas(rows, preserve_index=False)
    chosen = [i for i, name in enumerate(table.column_names) if takes(name)]
    columns: dict[str, Any] = table.select(chosen).to_pydict()
    return columns


def as_list(name: str, values: Any) -> list[Any]:
    """A column of any form as a list. Raises InputError for what is not a sequence."""
    if isinstance(values, (str, bytes, Mapping, Set)) or not hasattr(values, "__len__"):
        raise InputError(f"{name!r} must be a list of values, got {values!r:.60}")
    if hasattr(values, "to_pylist"):
        listed: list[Any] = values.to_pylist()
    else:
        listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return listed


def _are_mappings(rows: Sequence[Any]) -> bool:
    return all(isinstance(row, Mapping) for row in rows)
