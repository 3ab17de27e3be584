"""Data types, schemas and names: what a column can be, and how that maps to Arrow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from noskew.errors import DefinitionError, InvalidNameError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_INTEGERS = ("int8", "int16", "int32", "int64")
_FLOATS = ("float32", "float64")
_SCALARS = ("bool", *_INTEGERS, *_FLOATS, "string", "bytes", "timestamp", "date")
_ALIASES = {"int": "int64", "float": "float64", "double": "float64", "str": "string"}
_ALIASES |= {"boolean": "bool", "binary": "bytes", "datetime": "timestamp"}
_PYTHON: dict[type, str] = {
    bool: "bool",
    int: "int64",
    float: "float64",
    str: "string",
    bytes: "bytes",
    datetime: "timestamp",
    date: "date",
}
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_LIST = re.compile(r"list<\s*(.+?)\s*>")
_VECTOR = re.compile(r"vector<\s*(.+?)\s*,\s*(\d+)\s*>")
_UNIT = re.compile(r"(?:timestamp|datetime)\s*\[\s*(s|ms|us|ns)\s*\]")


@dataclass(frozen=True, slots=True)
class DType:
    """The type of a column.

    ``kind`` is one of bool, int8, int16, int32, int64, float32, float64, string, bytes,
    timestamp (microseconds, UTC), date, decimal (``precision`` ≤ 38, ``scale``), list (of
    ``item``) and vector (``size`` times ``item``; an embedding). Lists and vectors hold
    scalars only. Any value may be null; the items of a vector may not.
    """

    kind: str
    item: DType | None = None
    size: int = 0
    precision: int = 0
    scale: int = 0

    def __post_init__(self) -> None:
        if self.kind == "decimal":
            if not (1 <= self.precision <= 38 and 0 <= self.scale <= self.precision):
                raise DefinitionError(f"decimal needs 1 ≤ precision ≤ 38 and scale ≤ it: {self}")
        elif self.kind in ("list", "vector"):
            if self.item is None or self.item.kind in ("list", "vector"):
                raise DefinitionError(f"the items of {self.kind} must be scalars, got {self.item}")
            if self.kind == "vector" and not 1 <= self.size <= 65_535:
                raise DefinitionError(f"a vector has 1 to 65535 items, got {self.size}")
        elif self.kind not in _SCALARS:
            raise DefinitionError(f"unknown type {self.kind!r}; {nearest(self.kind, _SCALARS)}")

    @property
    def is_integer(self) -> bool:
        return self.kind in _INTEGERS

    @property
    def is_float(self) -> bool:
        return self.kind in _FLOATS

    @property
    def is_nested(self) -> bool:
        return self.kind in ("list", "vector")

    def to_arrow(self) -> pa.DataType:
        """The one Arrow type that columns of this type have inside noskew."""
        import pyarrow as pa

        if self.kind == "decimal":
            return pa.decimal128(self.precision, self.scale)
        if self.item is not None:
            item = self.item.to_arrow()
            return pa.list_(item, self.size) if self.kind == "vector" else pa.list_(item)
        arrow: dict[str, pa.DataType] = {
            "bool": pa.bool_(),
            "int8": pa.int8(),
            "int16": pa.int16(),
            "int32": pa.int32(),
            "int64": pa.int64(),
            "float32": pa.float32(),
            "float64": pa.float64(),
            "string": pa.string(),
            "bytes": pa.binary(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us", "UTC"),
        }
        return arrow[self.kind]

    def __str__(self) -> str:
        if self.kind == "decimal":
            return f"decimal({self.precision}, {self.scale})"
        if self.kind == "list":
            return f"list<{self.item}>"
        if self.kind == "vector":
            return f"vector<{self.item}, {self.size}>"
        return self.kind


def dtype(spec: Any) -> DType:
    """Read a type from a DType, its text (``"list<int64>"``), a Python type or an Arrow type.

    Python types: bool, int (int64), float (float64), str, bytes, datetime (timestamp), date.
    Raises DefinitionError for anything else.
    """
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, str):
        return _from_text(spec.strip().lower())
    if isinstance(spec, type):
        if spec in _PYTHON:
            return DType(_PYTHON[spec])
        if issubclass(spec, Decimal):
            raise DefinitionError("a decimal needs its digits: write 'decimal(18, 2)'")
    elif type(spec).__module__.startswith("pyarrow"):
        return from_arrow(spec)
    raise DefinitionError(
        f"{spec!r} is not a type; write one of {', '.join(_SCALARS)}, decimal(p, s), "
        f"list<item>, vector<item, size>, or a Python type such as str or float"
    )


def from_arrow(arrow: pa.DataType) -> DType:
    """The type that holds every value of an Arrow type without loss.

    Unsigned integers become the next wider signed one; seconds, milliseconds and nanoseconds
    become microseconds; dictionaries become their values. Raises DefinitionError otherwise.
    """
    import pyarrow.types as at

    if at.is_dictionary(arrow):
        return from_arrow(arrow.value_type)
    if at.is_fixed_size_list(arrow):
        return DType("vector", item=from_arrow(arrow.value_type), size=arrow.list_size)
    if at.is_list(arrow) or at.is_large_list(arrow):
        return DType("list", item=from_arrow(arrow.value_type))
    if at.is_decimal(arrow):
        return DType("decimal", precision=arrow.precision, scale=arrow.scale)
    if at.is_timestamp(arrow):
        return DType("timestamp")
    text = str(arrow)
    kinds = {
        "bool": "bool",
        "int8": "int8",
        "int16": "int16",
        "int32": "int32",
        "int64": "int64",
        "uint8": "int16",
        "uint16": "int32",
        "uint32": "int64",
        "halffloat": "float32",
        "float": "float32",
        "double": "float64",
        "string": "string",
        "large_string": "string",
        "string_view": "string",
        "binary": "bytes",
        "large_binary": "bytes",
        "binary_view": "bytes",
        "date32[day]": "date",
        "date64[ms]": "date",
    }
    if text not in kinds:
        raise DefinitionError(f"columns of the Arrow type {text} are not supported")
    return DType(kinds[text])


def _unit(spec: Any) -> str | None:
    """The unit that the text of a timestamp says, if it says one."""
    match = _UNIT.fullmatch(spec.strip().lower()) if isinstance(spec, str) else None
    return match[1] if match else None


def _from_text(text: str) -> DType:
    if match := _DECIMAL.fullmatch(text):
        return DType("decimal", precision=int(match[1]), scale=int(match[2]))
    if match := _LIST.fullmatch(text):
        return DType("list", item=_from_text(match[1]))
    if match := _VECTOR.fullmatch(text):
        return DType("vector", item=_from_text(match[1]), size=int(match[2]))
    return DType(_ALIASES.get(text, text))


class Schema(Mapping[str, DType]):
    """An ordered, immutable mapping of column names to types.

    ``has_units``: a timestamp may say what its numbers count, as in ``"timestamp[ms]"``: s, ms,
    us or ns since 1970. The type is timestamp all the same, and ``units`` has the unit by name.
    """

    def __init__(
        self,
        columns: Mapping[str, Any] | None = None,
        *,
        where: str = "schema",
        has_units: bool = False,
    ) -> None:
        items: dict[str, DType] = {}
        units: dict[str, str] = {}
        if has_units and isinstance(columns, Schema):
            columns = columns.texts()
        for name, spec in (columns or {}).items():
            unit = _unit(spec) if has_units else None
            items[check_name(name, where)] = DType("timestamp") if unit else dtype(spec)
            if unit:
                units[name] = unit
        self._items, self.units = items, units

    def __getitem__(self, name: str) -> DType:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Schema):
            items = list(self._items.items())
            return items == list(other._items.items()) and self.units == other.units
        return NotImplemented

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name}: {kind}" for name, kind in self.texts().items()) + "}"

    def select(self, names: Iterable[str]) -> Schema:
        """Some of the columns, units kept. Raises KeyError for one that is not there."""
        texts = self.texts()
        return Schema({name: texts[name] for name in names}, has_units=True)

    @cached_property
    def arrow(self) -> pa.Schema:
        """The columns as an Arrow schema, all nullable."""
        import pyarrow as pa

        return pa.schema([(name, kind.to_arrow()) for name, kind in self._items.items()])

    def texts(self) -> dict[str, str]:
        """Names to the text form of their types, for JSON."""
        return {
            name: f"{kind}[{self.units[name]}]" if name in self.units else str(kind)
            for name, kind in self._items.items()
        }

    def pairs(self) -> list[list[str]]:
        """Names and types as text, in order, as JSON has them."""
        return [[name, text] for name, text in self.texts().items()]


def check_name(name: object, what: str) -> str:
    """Return ``name`` if it is an identifier that noskew can use everywhere.

    Raises InvalidNameError. Names become file, table and column names, so anything that could
    leave its place (``../x``, quotes, spaces) is refused here, once; names that start with an
    underscore belong to noskew.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        shown = repr(name)[:80]
        raise InvalidNameError(
            f"{what}: {shown} is not a name; use letters, digits and underscores, "
            f"starting with a letter, at most 128 characters"
        )
    if name.startswith("_"):
        raise InvalidNameError(f"{what}: {name!r} starts with an underscore; those are reserved")
    return name
