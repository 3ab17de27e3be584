"""Values typed on a command line, read as the types that a service declares."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from noskew.clock import to_datetime, to_micros
from noskew.errors import InputError, NoskewError, nearest
from noskew.types import DType

_BOOLS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_READERS: Mapping[str, Callable[[str], Any]] = {
    "bool": lambda text: _BOOLS[text.lower()],
    "string": str,
    "bytes": bytes.fromhex,
    "date": date.fromisoformat,
    "timestamp": lambda text: to_datetime(to_micros(text)),
    "decimal": Decimal,
    "list": json.loads,
    "vector": json.loads,
    **dict.fromkeys(("int8", "int16", "int32", "int64"), int),
    **dict.fromkeys(("float32", "float64"), float),
}


def columns_from_text(pairs: Iterable[str], accepted: Mapping[str, DType]) -> dict[str, list[Any]]:
    """``["origin=JFK,EWR", "hour=7"]`` as columns of equal length.

    A name may be repeated or its values separated by commas (not in lists and vectors, which
    are JSON); nothing after ``=`` is null. A single value stands for every row.

    Raises InputError for text that is not ``name=value``, an unknown name, a value that is not
    of the declared type, or columns of different lengths.
    """
    columns: dict[str, list[Any]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"expected name=value, got {pair!r}; names: {', '.join(accepted)}")
        if name not in accepted:
            raise InputError(f"{name!r} is not asked for; {nearest(name, accepted)}")
        kind = accepted[name]
        parts = [text] if kind.is_nested else text.split(",")
        columns.setdefault(name, []).extend(_value(name, kind, part) for part in parts)
    absent = [name for name in accepted if name not in columns]
    if absent:
        wanted = ", ".join(f"{n}=<{accepted[n]}>" for n in absent)
        raise InputError(f"also needed: {wanted}")
    n = max((len(values) for values in columns.values()), default=0)
    for name, values in columns.items():
        if len(values) not in (1, n):
            raise InputError(f"{name!r} has {len(values)} values where others have {n}")
    return {name: v if len(v) == n else v * n for name, v in columns.items()}


def _value(name: str, kind: DType, text: str) -> Any:
    if text == "":
        return None
    try:
        return _READERS[kind.kind](text)
    except NoskewError as error:
        raise InputError(f"{name}: {error}") from error
    except (ValueError, KeyError, InvalidOperation) as error:
        raise InputError(f"{name}={text!r} is not of type {kind}") from error
