"""Rows of this process as a query of PostgreSQL, which reads each value from its text."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlglot import exp


def values_query(rows: pa.Table) -> str:
    """A SELECT of the rows, each column as text that a cast to its type reads, bit for bit.

    The rows must be such that :func:`can_hold` says yes to each.
    """
    columns = [_texts(column) for column in rows.columns]
    lines = [exp.Tuple(expressions=list(row)) for row in zip(*columns, strict=True)]
    names = [exp.to_identifier(name, quoted=True) for name in rows.column_names]
    alias = exp.TableAlias(this=exp.to_identifier("given"), columns=names)
    if not lines:  # there are no VALUES without rows
        nulls = [_literal(None)] * rows.num_columns
        empty = exp.Values(expressions=[exp.Tuple(expressions=nulls)], alias=alias)
        return exp.select("*").from_(empty).where(exp.false()).sql("postgres")
    return exp.select("*").from_(exp.Values(expressions=lines, alias=alias)).sql("postgres")


def can_hold(rows: pa.Table) -> NDArray[np.bool_]:
    """Which rows PostgreSQL can have: none with a NUL in a text. bool, shape (rows,)."""
    can = np.ones(len(rows), np.bool_)
    for column in rows.columns:
        if pa.types.is_string(column.type) or pa.types.is_list(column.type):
            can &= ["\0" not in str(value) for value in _flat(column)]
    return can


def _flat(column: pa.ChunkedArray) -> list[str]:
    """Each value's text; of a list that of its items."""
    return [
        "".join(map(str, value)) if isinstance(value, list) else str(value)
        for value in column.to_pylist()
    ]


def _texts(column: pa.ChunkedArray) -> list[exp.Expr]:
    return [_literal(value) for value in column.to_pylist()]


def _literal(value: Any) -> exp.Expr:
    text = exp.null() if value is None else exp.Literal.string(_text(value))
    # In VALUES the types of a column must meet; without a cast they would be guessed.
    return exp.Cast(this=text, to=exp.DataType.build("TEXT"))


def _text(value: Any) -> str:
    """A value as PostgreSQL writes it."""
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, list):
        return "{" + ",".join(map(_item, value)) + "}"
    return str(value)


def _item(value: Any) -> str:
    """An item as it stands in the text of an array."""
    if value is None:
        return "NULL"
    return '"' + _text(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
