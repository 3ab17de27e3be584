"""Make a caller's columns the declared ones, or say exactly what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noskew.arrays import decoded
from noskew.clock import MAX_TIME, MIN_TIME
from noskew.errors import SchemaMismatchError, nearest
from noskew.types import DType, Schema

#: A timestamp string must say its offset: it ends in Z, or in ±hh:mm.
_OFFSET = r"(Z|z|[+-]\d{2}:?\d{2}|\d:\d{2}\S*[+-]\d{2})$"
_DAY = 86_400_000_000
#: Types of time: the integer they are, and its least and greatest value.
_RANGES = {
    "timestamp": (pa.int64(), (MIN_TIME, MAX_TIME)),
    "date": (pa.int32(), (MIN_TIME // _DAY, MAX_TIME // _DAY)),
}


def conform(table: pa.Table, schema: Schema, what: str) -> pa.Table:
    """The columns of ``schema``, in its order, in its Arrow types; other columns are left out.

    Conversions lose nothing: narrower to wider, integral floats to integers, dictionaries and
    views to values, time units to microseconds; a timestamp without a zone is UTC, and a timestamp
    string must carry an offset. Nulls are nulls, whatever type a column of nothing else has. Three
    exceptions: float64 is rounded to float32 and a decimal to the nearest float where that is
    declared (out of range is an error), and nanoseconds are cut off, towards 1970.

    Numbers are times where the schema says their unit: integers, whole floats, and the text of
    integers. Without a unit they are refused.

    Raises SchemaMismatchError, naming column, expected and found type, for a column that is
    absent or twice there, or whose values do not fit; it shows the first of them.
    """
    names = table.column_names
    columns = []
    for name, kind in schema.items():
        if names.count(name) != 1:
            state = "appears twice" if name in names else "is not there"
            raise SchemaMismatchError(
                f"{what}: the column {name!r} {state}; expected {kind}; {nearest(name, names)}"
            )
        column, unit = table.column(name), schema.units.get(name)
        columns.append(conform_column(column, kind, f"{what}, column {name!r}", unit))
    return pa.Table.from_arrays(columns, schema=schema.arrow)


def conform_column(
    column: pa.ChunkedArray, kind: DType, what: str, unit: str | None = None
) -> pa.ChunkedArray:
    """One column as the declared type; see :func:`conform`. ``unit``: what its numbers count."""
    column = decoded(column)
    if 0 < column.null_count == len(column) and column.type != kind.to_arrow():
        return pa.chunked_array([pa.nulls(len(column), kind.to_arrow())])
    try:
        return _fitting(column, kind, what, unit)
    except _FAULTS as error:
        raise SchemaMismatchError(
            f"{what}: expected {_said(kind, unit)}, got {column.type}"
            f"{_first_misfit(column, kind, what, unit)}; {_why(error, kind)}"
        ) from error


#: What a conversion raises for a value; how pyarrow says it is for nobody to read.
_FAULTS = (pa.ArrowException, OverflowError)


class _MisfitError(OverflowError):
    """A value that the declared type does not hold, and why."""


def _fitting(column: pa.ChunkedArray, kind: DType, what: str, unit: str | None) -> pa.ChunkedArray:
    if column.type != kind.to_arrow():
        column = _converted(column, kind, what, unit)
    if kind.kind == "vector" and column.null_count < len(column):
        _check_vector(column, what)
    if (kind.item or kind).kind in _RANGES:
        _check_range(column, kind)
    return column


def _said(kind: DType, unit: str | None) -> str:
    return f"{kind}[{unit}]" if unit else str(kind)


def _why(error: Exception, kind: DType) -> str:
    if isinstance(error, _MisfitError):
        return str(error)
    has_items = f", of {kind.size} items," if kind.kind == "vector" else ""
    return f"{kind}{has_items} cannot hold it exactly"


def _first_misfit(column: pa.ChunkedArray, kind: DType, what: str, unit: str | None) -> str:
    """The first value that does not fit, for a message: found by halves."""
    start, end = 0, len(column)
    while end - start > 1:
        middle = (start + end) // 2
        try:
            _fitting(column.slice(start, middle - start), kind, what, unit)
            start = middle
        except (*_FAULTS, SchemaMismatchError):
            end = middle
    return f" with the value {_shown(column[start])}" if end > start else ""


def _shown(value: Any) -> str:
    """A value for people, those too that Python has no object for."""
    if pa.types.is_timestamp(value.type):
        return f"{value.value} {value.type.unit} after 1970"
    if pa.types.is_date32(value.type):
        return f"{value.value} days after 1970"
    if pa.types.is_nested(value.type):
        return f"[{', '.join(map(_shown, (value.values or [])[:8]))}]"
    return f"{value.as_py()!r:.80}"


def _converted(
    column: pa.ChunkedArray, kind: DType, what: str, unit: str | None
) -> pa.ChunkedArray:
    have, want = column.type, kind.to_arrow()
    # A batch whose lists are all empty says as little of their items as one of nulls.
    if pa.types.is_null(have) or _family(have) == "list of null":
        return column.cast(want)
    if str(kind) == "list<timestamp>" and _family(have) == "list of string":
        return _of_items(column, DType("timestamp"), what)
    if kind.kind == "timestamp":
        return _timestamps(_with_unit(column, unit, what) if unit else column, want, what)
    if _family(have) != _family(want) and not _widens(have, want):
        raise SchemaMismatchError(f"{what}: expected {kind}, got {have}; convert it first")
    if pa.types.is_decimal(have) and kind.is_float:
        # Arrow's own cast is off by a bit in some cases; its text is exact, and read exactly.
        column = column.cast(pa.string())
    converted = column.cast(want)
    is_cut = have == pa.float64() and want == pa.float32() and _overflows(column, converted)
    # A decimal is never infinite.
    is_cut |= pa.types.is_decimal(have) and kind.is_float and pc.any(pc.is_inf(converted)).as_py()
    if is_cut:
        raise _MisfitError(f"it is beyond the range of {kind}")
    return converted


def _of_items(column: pa.ChunkedArray, kind: DType, what: str) -> pa.ChunkedArray:
    """Lists with their items conformed."""
    chunks = []
    for chunk in column.chunks:
        items = conform_column(pa.chunked_array([chunk.flatten()]), kind, what).combine_chunks()
        lengths = pc.fill_null(pc.list_value_length(chunk), 0).to_numpy()
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        chunks.append(pa.ListArray.from_arrays(offsets, items, mask=chunk.is_null()))
    return pa.chunked_array(chunks, pa.list_(kind.to_arrow()))


def _with_unit(column: pa.ChunkedArray, unit: str, what: str) -> pa.ChunkedArray:
    """Numbers as times of a unit; a column of times, or their text, as it is."""
    want = pa.timestamp(unit, "UTC")
    if _family(column.type) in ("integer", "float", "decimal"):
        return column.cast(pa.int64()).cast(want)
    if _family(column.type) != "string":
        return column
    column = column.cast(pa.string())
    is_number = pc.match_substring_regex(column, r"^[+-]?\d+$")
    if not pc.any(is_number).as_py():
        return column
    numbers = pc.if_else(is_number, column, None).cast(pa.int64())
    times = numbers.cast(want).cast(pa.timestamp("us", "UTC"), safe=unit != "ns")
    texts = _timestamps(pc.if_else(is_number, None, column), times.type, what)
    return pc.coalesce(times, texts)


def _overflows(wide: pa.ChunkedArray, narrow: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.and_(pc.is_inf(narrow), pc.invert(pc.is_inf(wide)))).as_py())


def _timestamps(column: pa.ChunkedArray, want: pa.DataType, what: str) -> pa.ChunkedArray:
    have = column.type
    if _family(have) == "string":
        column = pc.utf8_trim_whitespace(column.cast(pa.string()))
        naive = pc.invert(pc.match_substring_regex(column, _OFFSET))
        if pc.any(naive).as_py():
            example = column.filter(naive)[0].as_py()
            raise SchemaMismatchError(
                f"{what}: the time {example!r} has no offset, so it could mean any of 24 hours; "
                f"end it in 'Z' for UTC or in an offset such as '+02:00'"
            )
        return pc.replace_substring_regex(column, "z$", "Z").cast(want)  # Arrow knows Z alone.
    if not (pa.types.is_timestamp(have) or pa.types.is_date(have)):
        raise SchemaMismatchError(
            f"{what}: expected timestamp, got {have}; numbers are not taken as times, since "
            f"their unit is unknown: declare it in the schema of a source, such as "
            f"'timestamp[ms]'"
        )
    # Unsafe casts wrap what is out of range, so only nanoseconds, which never are, go unsafely.
    safe = not (pa.types.is_timestamp(have) and have.unit == "ns")
    if pa.types.is_date(have):
        column = column.cast(pa.timestamp("ms" if pa.types.is_date64(have) else "s"))
    if not (pa.types.is_timestamp(have) and have.tz):
        column = column.cast(pa.timestamp("us"), safe=safe)
        return pa.chunked_array([c.view(want) for c in column.chunks], want)
    return column.cast(want, safe=safe)


def _family(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "float"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return "string"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or str(kind) == "binary_view":
        return "bytes"
    if pa.types.is_decimal(kind):
        return "decimal"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "list of " + _family(kind.value_type)
    return str(kind)


def _widens(have: pa.DataType, want: pa.DataType) -> bool:
    """Whether one kind of number may stand for another; the safe cast checks each value."""
    families = {_family(have), _family(want)}
    if (_family(have), _family(want)) == ("decimal", "float"):
        return True
    if families in ({"integer", "float"}, {"integer", "decimal"}):
        return True
    lists = {"list of integer", "list of float"}
    return families <= lists and len(families) == 2


def _check_range(column: pa.ChunkedArray, kind: DType) -> None:
    kind = kind.item or kind
    if pa.types.is_nested(column.type):
        column = pa.chunked_array([c.flatten() for c in column.chunks], kind.to_arrow())
    number, limits = _RANGES[kind.kind]
    ends = pc.min_max(pa.chunked_array([c.view(number) for c in column.chunks], number)).as_py()
    low, high = ends["min"], ends["max"]
    if low is not None and not (low >= limits[0] and high <= limits[1]):
        raise _MisfitError(f"a time is outside the years 1 to 9999 ({low} to {high})")


def _check_vector(column: pa.ChunkedArray, what: str) -> None:
    for chunk in column.chunks:
        if chunk.drop_null().flatten().null_count:
            raise SchemaMismatchError(f"{what}: the items of a vector must not be null")
