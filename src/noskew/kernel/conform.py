"""Make a caller's columns the declared ones, or say exactly what is wrong with them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from noskew.clock import MAX_TIME, MIN_TIME
from noskew.errors import SchemaMismatchError, nearest
from noskew.types import DType, Schema

#: A timestamp string must say its offset: it ends in Z, or in ±hh:mm.
_OFFSET = r"(Z|z|[+-]\d{2}:?\d{2})$"
_DAY = 86_400_000_000
#: Types of time: the integer they are, and its least and greatest value.
_RANGES = {
    "timestamp": (pa.int64(), (MIN_TIME, MAX_TIME)),
    "date": (pa.int32(), (MIN_TIME // _DAY, MAX_TIME // _DAY)),
}


def conform(table: pa.Table, schema: Schema, what: str) -> pa.Table:
    """The columns of ``schema``, in its order, in its Arrow types; other columns are left out.

    Conversions lose nothing: narrower to wider, integral floats to integers, dictionaries to
    values, time units to microseconds; a timestamp without a zone is UTC, and a timestamp string
    must carry an offset. Two exceptions: float64 is rounded to float32 where that is declared
    (out of its range is an error), and nanoseconds are cut off, towards 1970.

    Raises SchemaMismatchError, naming column, expected and found type, for a column that is
    absent or twice there, or whose values do not fit.
    """
    names = table.column_names
    columns = []
    for name, kind in schema.items():
        if names.count(name) != 1:
            state = "appears twice" if name in names else "is not there"
            raise SchemaMismatchError(
                f"{what}: the column {name!r} {state}; expected {kind}; {nearest(name, names)}"
            )
        columns.append(conform_column(table.column(name), kind, f"{what}, column {name!r}"))
    return pa.Table.from_arrays(columns, schema=schema.arrow)


def conform_column(column: pa.ChunkedArray, kind: DType, what: str) -> pa.ChunkedArray:
    """One column as the declared type; see :func:`conform`."""
    want = kind.to_arrow()
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type != want:
        try:
            column = _converted(column, kind, want, what)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise SchemaMismatchError(
                f"{what}: expected {kind}, got {column.type}: {str(error).splitlines()[0]}"
            ) from error
    if kind.kind == "vector" and column.null_count < len(column):
        _check_vector(column, what)
    if (kind.item or kind).kind in _RANGES:
        _check_range(column, kind, what)
    return column


def _converted(
    column: pa.ChunkedArray, kind: DType, want: pa.DataType, what: str
) -> pa.ChunkedArray:
    have = column.type
    # A batch whose lists are all empty says as little of their items as one of nulls.
    if pa.types.is_null(have) or _family(have) == "list of null":
        return column.cast(want)
    if kind.kind == "timestamp":
        return _timestamps(column, want, what)
    if _family(have) != _family(want) and not _widens(column, have, want):
        raise SchemaMismatchError(f"{what}: expected {kind}, got {have}; convert it first")
    converted = column.cast(want)
    if have == pa.float64() and want == pa.float32() and _overflows(column, converted):
        raise SchemaMismatchError(f"{what}: expected float32, got a number beyond its range")
    return converted


def _overflows(wide: pa.ChunkedArray, narrow: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.and_(pc.is_inf(narrow), pc.invert(pc.is_inf(wide)))).as_py())


def _timestamps(column: pa.ChunkedArray, want: pa.DataType, what: str) -> pa.ChunkedArray:
    have = column.type
    if _family(have) == "string":
        column = column.cast(pa.string())
        naive = pc.invert(pc.match_substring_regex(pc.utf8_trim_whitespace(column), _OFFSET))
        if pc.any(naive).as_py():
            example = column.filter(naive)[0].as_py()
            raise SchemaMismatchError(
                f"{what}: the time {example!r} has no offset, so it could mean any of 24 hours; "
                f"end it in 'Z' for UTC or in an offset such as '+02:00'"
            )
        return column.cast(want)
    if not (pa.types.is_timestamp(have) or pa.types.is_date(have)):
        raise SchemaMismatchError(
            f"{what}: expected timestamp, got {have}; integers are not taken as times, since "
            f"their unit is unknown"
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


def _widens(column: pa.ChunkedArray, have: pa.DataType, want: pa.DataType) -> bool:
    """Whether an integer or float may stand for the other; the safe cast checks each value."""
    families = {_family(have), _family(want)}
    if families in ({"integer", "float"}, {"integer", "decimal"}):
        return True
    lists = {"list of integer", "list of float"}
    return families <= lists and len(families) == 2


def _check_range(column: pa.ChunkedArray, kind: DType, what: str) -> None:
    kind = kind.item or kind
    if pa.types.is_nested(column.type):
        column = pa.chunked_array([c.flatten() for c in column.chunks], kind.to_arrow())
    number, limits = _RANGES[kind.kind]
    ends = pc.min_max(pa.chunked_array([c.view(number) for c in column.chunks], number)).as_py()
    low, high = ends["min"], ends["max"]
    if low is not None and not (low >= limits[0] and high <= limits[1]):
        raise SchemaMismatchError(
            f"{what}: a time is outside the years 1 to 9999 ({low} to {high})"
        )


def _check_vector(column: pa.ChunkedArray, what: str) -> None:
    for chunk in column.chunks:
        if chunk.drop_null().flatten().null_count:
            raise SchemaMismatchError(f"{what}: the items of a vector must not be null")
