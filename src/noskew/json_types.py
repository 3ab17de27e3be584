"""Types of columns as a JSON parser knows them, for messages and for files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from noskew.types import DType

_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
#: A decimal is at most this many digits away from the point. Arrow fails on the further ones,
#: and dies of those that are a billion away.
_MOST_DIGITS = 1_000


def json_type(kind: DType, time: Any) -> Any:
    """What a value that is not null is parsed as; ``time``: the type of those that are times.

    Bytes are base64, dates ``YYYY-MM-DD``, decimals texts or numbers, taken exactly.
    """
    if kind.kind == "vector":
        assert kind.item is not None
        size = msgspec.Meta(min_length=kind.size, max_length=kind.size)
        return Annotated[list[json_type(kind.item, time)], size]  # type: ignore[misc]
    if kind.item is not None:
        return list[json_type(kind.item, time) | None]  # type: ignore[misc]
    if kind.is_integer:
        top = 1 << (_BITS[kind.kind] - 1)
        return Annotated[int, msgspec.Meta(ge=-top, le=top - 1)]
    if kind.is_float:
        return float
    return {
        "bool": bool,
        "string": str,
        "bytes": bytes,
        "timestamp": time,
        "date": date,
        "decimal": Decimal,
    }[kind.kind]


def check_decimals(items: Iterable[Decimal | None]) -> None:
    """Raise OverflowError for a decimal that no column can hold."""
    for item in items:
        if item is not None and abs(item.adjusted()) > _MOST_DIGITS:
            raise OverflowError("a number too large or too small for any decimal")


def flat(lists: Iterable[list[Any] | None]) -> list[Any]:
    """The items of all lists."""
    return [x for items in lists if items is not None for x in items]
