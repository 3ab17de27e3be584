"""JSON texts as lists: the form in which a CSV file can hold one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noskew.types import DType

_ITEMS: dict[str, Any] = {
    "bool": bool,
    "string": str,
    "timestamp": str,
    "date": str,
    "float32": float,
    "float64": float,
    "decimal": Decimal,
}


def json_lists(
    text: pa.Array, kind: DType, of_items: Callable[[pa.Array, DType], pa.Array]
) -> pa.Array:
    """One list for each text, null for null; ``of_items`` makes items that JSON has as text.

    Raises ArrowInvalid for a text that is no JSON list of such items, or of another length than
    a vector has.
    """
    item = kind.item
    assert item is not None, "a list has items"
    if item.kind == "bytes":
        raise pa.ArrowInvalid("JSON has no bytes")
    of_json = _ITEMS.get(item.kind, int)
    lines = pc.replace_substring_regex(text.fill_null("null"), r"[\r\n]", " ")
    joined = "\n".join(lines.to_pylist())
    try:
        values = msgspec.json.Decoder(list[of_json | None] | None).decode_lines(joined)  # type: ignore[valid-type]
    except msgspec.DecodeError as error:
        raise pa.ArrowInvalid(str(error)) from error
    if of_json is not str:
        return pa.array(values, kind.to_arrow())
    lists = pa.array(values, pa.list_(pa.string()))
    items = of_items(lists.flatten(), item)
    made = pa.ListArray.from_arrays(_offsets(lists), items, mask=lists.is_null())
    return made.cast(kind.to_arrow())


def _offsets(lists: pa.Array) -> pa.Array:
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
