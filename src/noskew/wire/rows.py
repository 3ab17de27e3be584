"""Rows as callers give them, in any form that a read or a push takes, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from noskew.errors import InputError


def as_columns(rows: Any) -> dict[str, Any]:
    """Rows in any form that a read takes, as columns. Raises InputError for other forms."""
    if isinstance(rows, Mapping):
        return dict(rows)
    if isinstance(rows, (list, tuple)):
        names = {name: None for row in rows for name in row} if _are_mappings(rows) else {}
        if rows and not names:
            raise InputError("rows must be mappings such as {'origin': 'JFK'}")
        return {name: [row.get(name) for row in rows] for name in names}
    if not hasattr(rows, "__arrow_c_stream__") and not hasattr(rows, "to_dict"):
        raise InputError(
            f"expected columns such as {{'origin': ['JFK', 'EWR']}}, a list of rows, or a frame; "
            f"got {type(rows).__name__}"
        )
    import pyarrow as pa  # only frames need it, and it takes longer than all else that clients load

    if hasattr(rows, "__arrow_c_stream__"):
        columns: dict[str, Any] = pa.table(rows).to_pydict()
    else:
        columns = pa.Table.from_pandas(rows, preserve_index=False).to_pydict()
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
