"""Columns of few rows or many, in whichever form they came, and in those that functions take.

Arrow takes microseconds for what NumPy does in a tenth of one, so a column becomes Arrow only if
somebody asks for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.arrays import to_numpy
from noskew.clock import to_datetime
from noskew.kernel.arrays import Mask
from noskew.kernel.values import valid_of
from noskew.types import DType

#: NumPy's types of numbers and bools.
NUMBERS: dict[str, type[np.generic]] = {
    "bool": np.bool_,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "float32": np.float32,
    "float64": np.float64,
}
_TIMES: dict[str, type[np.generic]] = {"timestamp": np.int64, "date": np.int32}
#: Integers up to this are exact as floats.
_EXACT = 1 << 53


def is_maskable(kind: DType) -> bool:
    """Whether functions see nulls of a type as masked items; else as None."""
    return kind.kind in NUMBERS or kind.kind == "vector"


class Column:
    """The values of one column of an on-demand function; one item a row.

    ``values`` and ``valid`` (None: no nulls) are there for numbers, bools, strings (objects),
    timestamps (int64, µs), dates (int32, days) and decimals (Python integers, unscaled). Under a
    null stands a zero, or an empty text.
    """

    __slots__ = ("_arrow", "_items", "_pair", "_seen", "kind")

    def __init__(
        self,
        kind: DType,
        values: NDArray[Any] | None = None,
        valid: Mask | None = None,
        *,
        arrow: pa.Array = None,
        items: Sequence[Any] | None = None,
    ) -> None:
        """``items``: Python values, those of a number's own type; None for null."""
        self.kind, self._arrow, self._items = kind, arrow, items
        self._pair = None if values is None else (values, valid)
        self._seen: NDArray[Any] | None = None

    @classmethod
    def of_items(cls, items: Sequence[Any], kind: DType) -> Column | None:
        """Python values as a column, if they are of the commonest types; else None.

        What is unusual about them is left to Arrow, which knows what to refuse.
        """
        types = set(map(type, items))
        types.discard(type(None))
        if len(types) == 1 and kind.kind in _OWN and types == _OWN[kind.kind]:
            if kind.is_integer and not _fits(items, kind):
                return None
            if kind.kind == "string" and not _are_ascii(items):
                return None
            return cls(kind, items=items)
        if kind.kind == "float64" and types <= {int, float} and _are_exact(items):
            return cls(kind, items=[None if v is None else float(v) for v in items])
        return None

    def __len__(self) -> int:
        values = self._items if self._items is not None else self._arrow
        return len(values if values is not None else self.pair()[0])

    @property
    def valid(self) -> Mask | None:
        """Which values are not null; None: all."""
        if self._pair is not None:
            return self._pair[1]
        if self._items is not None:
            return self.pair()[1] if None in self._items else None
        return valid_of(self._arrow) if self._arrow.null_count else None

    def pair(self) -> tuple[NDArray[Any], Mask | None]:
        """``values`` and ``valid``."""
        if self._pair is None:
            if self._items is None:
                self._pair = _pair(self._arrow, self.kind)
            else:
                self._pair = _pair_of_items(self._items, self.kind)
        return self._pair

    def arrow(self) -> pa.Array:
        """The column in Arrow, of the type that its kind has."""
        if self._arrow is None:
            self._arrow = _arrow(self.kind, *self.pair())
        return self._arrow

    def items(self) -> list[Any]:
        """The values as Python objects, None for null."""
        if self._items is not None:
            return list(self._items)
        if self.kind.kind not in NUMBERS and self.kind.kind != "string":
            return self.arrow().to_pylist()
        values, valid = self.pair()
        if valid is None:
            return values.tolist()
        return [v if ok else None for v, ok in zip(values.tolist(), valid.tolist(), strict=True)]

    def objects(self) -> list[Any]:
        """As :meth:`items`, with timestamps of the zone that the standard library calls UTC."""
        if self.kind.kind != "timestamp":
            return self.items()
        values, valid = self.pair()
        known = [True] * len(values) if valid is None else valid.tolist()
        pairs = zip(values.tolist(), known, strict=True)
        return [to_datetime(v) if ok else None for v, ok in pairs]

    def seen(self, *, masked: bool) -> NDArray[Any]:
        """As a NumPy function sees it, read-only.

        ``masked``: numbers, bools and vectors as ``numpy.ma`` arrays, whether there is a null or
        not; otherwise they must have none. Vectors have two dimensions. Other types are objects.
        """
        if self.kind.kind == "list":  # whose items a function could change
            return _read_only(_objects(self.objects()))
        if self._seen is None:
            self._seen = _read_only(self._as_seen())
        if not masked or not is_maskable(self.kind):
            return self._seen
        null = np.zeros(self._seen.shape, bool)
        valid = self.valid
        if valid is not None:
            null[~valid] = True
        return np.ma.masked_array(self._seen, mask=null)

    def _as_seen(self) -> NDArray[Any]:
        if not is_maskable(self.kind):
            return _objects(self.objects())
        return self.pair()[0] if self.kind.kind in NUMBERS else _vectors(self.arrow())

    def take(self, rows: NDArray[np.int64]) -> Column:
        """The rows of these numbers."""
        if self._pair is None and self._items is None:
            return Column(self.kind, arrow=self._arrow.take(pa.array(rows)))
        values, valid = self.pair()
        return Column(self.kind, values[rows], None if valid is None else valid[rows])

    @classmethod
    def joined(cls, parts: Sequence[Column], rows: Sequence[NDArray[np.int64]]) -> Column:
        """One column of several, whose items go to these rows."""
        place = np.argsort(np.concatenate(rows))
        joined = pa.concat_arrays([part.arrow() for part in parts])
        return cls(parts[0].kind, arrow=joined.take(pa.array(place)))


#: Python's own type of the values of a type.
_OWN: dict[str, set[type]] = {
    "bool": {bool},
    "int8": {int},
    "int16": {int},
    "int32": {int},
    "int64": {int},
    "float64": {float},
    "string": {str},
}


def _fits(items: Sequence[int | None], kind: DType) -> bool:
    most = (1 << (int(kind.kind.removeprefix("int")) - 1)) - 1
    least = -most - 1
    return all(v is None or least <= v <= most for v in items)


def _are_exact(items: Sequence[float | int | None]) -> bool:
    return all(v is None or type(v) is float or -_EXACT <= v <= _EXACT for v in items)


def _are_ascii(items: Sequence[str | None]) -> bool:
    return all(v is None or v.isascii() for v in items)


def _pair_of_items(items: Sequence[Any], kind: DType) -> tuple[NDArray[Any], Mask | None]:
    valid = None
    if None in items:
        valid = np.array([v is not None for v in items], bool)
        empty = "" if kind.kind == "string" else 0
        items = [empty if v is None else v for v in items]
    if kind.kind == "string":
        return _objects(items), valid
    return np.array(items, NUMBERS[kind.kind]), valid


def _pair(column: pa.Array, kind: DType) -> tuple[NDArray[Any], Mask | None]:
    valid = valid_of(column) if column.null_count else None
    name = kind.kind
    if name in NUMBERS or name in _TIMES:
        if name in _TIMES:
            column = column.view(pa.int64() if name == "timestamp" else pa.int32())
        if valid is None:
            return column.to_numpy(zero_copy_only=False), None
        empty = False if name == "bool" else 0
        return column.fill_null(empty).to_numpy(zero_copy_only=False), valid
    items = column.to_pylist()
    if name == "decimal":
        return _objects([0 if v is None else _unscaled(v, kind.scale) for v in items]), valid
    return _objects(items if valid is None else ["" if v is None else v for v in items]), valid


def _unscaled(value: Any, scale: int) -> int:
    sign, digits, exponent = value.as_tuple()
    number = int("".join(map(str, digits))) * 10 ** (exponent + scale)
    return -number if sign else number


def _arrow(kind: DType, values: NDArray[Any], valid: Mask | None) -> pa.Array:
    want = kind.to_arrow()
    mask = None if valid is None else ~valid
    if kind.kind in NUMBERS:
        return pa.array(values, want, mask=mask)
    if kind.kind in _TIMES:
        return pa.array(values, mask=mask).view(want)
    if kind.kind == "decimal":
        return _decimals(values, valid, want)
    return pa.array(values, want, mask=mask)


def _decimals(values: NDArray[Any], valid: Mask | None, want: pa.DataType) -> pa.Array:
    data = b"".join([int(v).to_bytes(16, "little", signed=True) for v in values])
    bits = None
    if valid is not None:
        bits = pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    return pa.Array.from_buffers(want, len(values), [bits, pa.py_buffer(data)])


def _vectors(column: pa.Array) -> NDArray[Any]:
    """A column of vectors in two dimensions, zeros where one is null."""
    size = column.type.list_size
    flat = to_numpy(column.flatten()).reshape(-1, size)
    if not column.null_count:
        return flat
    items = np.zeros((len(column), size), flat.dtype)
    items[valid_of(column)] = flat
    return items


def _objects(items: Sequence[Any]) -> NDArray[Any]:
    objects = np.empty(len(items), object)
    objects[:] = items
    return objects


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    """What several functions share, none of them may change."""
    values.flags.writeable = False
    return values
