"""Entity keys as bytes: one injective encoding, the same on every path.

A key is its parts in order; a part is a length and that many bytes, so (1, 23) and (12, 3)
differ. The length is one byte below 128, else two (little-endian base 128, as in LEB128).

===========================  =========================================================
part                         bytes
===========================  =========================================================
bool, integers,              two's complement, big-endian, as few bytes as hold the
date (days), timestamp (µs)  value: 0 → ``00``, −1 → ``ff``, 127 → ``7f``, 128 → ``0080``
string                       UTF-8
bytes                        as they are
===========================  =========================================================

Test vectors (hex): ``(1, 23)`` → ``0101 0117``; ``(12, 3)`` → ``010c 0103``;
``("JFK",)`` → ``034a464b``; ``("",)`` → ``00``; ``(−129, "é")`` → ``02ff7f 02c3a9``.

A key longer than 480 bytes is replaced by ``ff7f`` and its 32-byte BLAKE2b digest (no length
encodes as ``ff7f`` below that bound), so that every store can hold it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.clock import to_micros
from noskew.errors import KeyTypeError
from noskew.kernel.hashing import hash_slices
from noskew.kernel.jit import kernel
from noskew.kernel.ragged import Ragged, concat, repeat
from noskew.types import DType

MAX_ENCODED = 480
_LONG = b"\xff\x7f"
_INT_LIKE = ("bool", "int8", "int16", "int32", "int64", "date", "timestamp")


def encode_part(value: Any) -> bytes:
    """One part of a key: an int (bool, date and timestamp as their integer), str or bytes."""
    if isinstance(value, str):
        raw = value.encode()
    elif isinstance(value, bytes):
        raw = value
    else:
        raw = value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)
    size = len(raw)
    if size < 128:
        return b"%c%b" % (size, raw)
    return _prefix(size) + raw


def encode_key(parts: Sequence[Any]) -> bytes:
    """A whole key, none of whose parts is null."""
    return shorten(b"".join([encode_part(p) for p in parts]))


def shorten(key: bytes) -> bytes:
    """The key itself, or the digest that stands for one longer than 480 bytes."""
    if len(key) <= MAX_ENCODED:
        return key
    return _LONG + hashlib.blake2b(key, digest_size=32).digest()


def encode_columns(
    columns: Sequence[pa.Array], prefix: bytes = b""
) -> tuple[Ragged, NDArray[np.bool_]]:
    """Keys of n rows given as one Arrow array a part, and which rows have no null part.

    ``prefix`` is put before each key, and is no part of it. A row with a null part gets some
    key; it must not be used.
    """
    valid = np.ones(len(columns[0]), bool)
    for column in columns:
        if column.null_count:
            valid &= column.is_valid().to_numpy(zero_copy_only=False)
    lead = len(prefix)
    # The first part takes it along; a pass of its own would cost as much as all the parts.
    parts = [_encode_array(c, b"" if i else prefix) for i, c in enumerate(columns)]
    keys = concat(parts)
    if len(keys) and int(keys.lengths.max()) > lead + MAX_ENCODED:
        keys = Ragged.from_list([prefix + shorten(k[lead:]) for k in keys.to_list()])
    return keys, valid


def encode_integers(values: NDArray[np.int64], prefix: bytes) -> list[bytes]:
    """Keys of one integer part each, behind a prefix; int64, shape (n,)."""
    offsets, data = _encode_integers(values, np.frombuffer(prefix, np.uint8))
    return Ragged(offsets, data).to_list()


def buckets_of(keys: Ragged, buckets: int) -> NDArray[np.int32]:
    """The bucket of each key: XXH64 of its bytes modulo ``buckets``. int32, shape (n,)."""
    return (hash_slices(keys.data, keys.offsets) % np.uint64(buckets)).astype(np.int32)


def part_converter(kind: DType, name: str) -> Callable[[Any], int | str | bytes]:
    """A function that turns a caller's value into what :func:`encode_part` takes.

    It raises KeyTypeError for a value of another type. No conversion is done that could
    unite different keys: "1" is not 1, True is not 1. A whole float is the integer that it
    equals, as in training rows: pandas makes floats of integers with a hole.
    """
    if kind.kind == "string":
        return _typed(str, kind, name)
    if kind.kind == "bytes":
        return _typed(bytes, kind, name)
    if kind.kind == "bool":
        return _typed(bool, kind, name)
    if kind.kind in ("date", "timestamp"):
        return _temporal(kind, name)
    return _integer(kind, name)


def _integer(kind: DType, name: str) -> Callable[[Any], int]:
    half = 1 << (int(kind.kind[3:]) - 1)

    def convert(value: Any) -> int:
        if type(value) is not int:
            is_whole = isinstance(value, (float, np.floating)) and value.is_integer()
            if not (is_whole or isinstance(value, np.integer)):
                raise _wrong(kind, name, value)
        number = int(value)
        if not -half <= number < half:
            raise _wrong(kind, name, value)
        return number

    return convert


def _typed(python: type, kind: DType, name: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if python is bool and isinstance(value, (bool, np.bool_)):
            return int(value)
        if type(value) is python:
            return value
        if isinstance(value, str) and python is str:
            return str(value)
        raise _wrong(kind, name, value)

    return convert


def _temporal(kind: DType, name: str) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if kind.kind == "date":
            if isinstance(value, str):
                try:
                    value = date.fromisoformat(value)
                except ValueError as error:
                    raise _wrong(kind, name, value) from error
            if type(value) is date:
                return value.toordinal() - 719_163
        elif isinstance(value, (datetime, str)):
            return to_micros(value)
        raise _wrong(kind, name, value)

    return convert


def _wrong(kind: DType, name: str, value: Any) -> KeyTypeError:
    shown = repr(value)
    return KeyTypeError(
        f"the join key {name!r} must be {kind}, got {type(value).__name__}: "
        f"{shown[:60] + '…' if len(shown) > 60 else shown}"
    )


def _prefix(size: int) -> bytes:
    out = bytearray()
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out)


def _encode_array(column: pa.Array, prefix: bytes) -> Ragged:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        pieces = Ragged.from_arrow(column)
        encoded = Ragged(*_prefix_bytes(pieces.offsets, pieces.data))
        return concat([repeat(prefix, len(encoded)), encoded]) if prefix else encoded
    return Ragged(*_encode_integers(integers(column), np.frombuffer(prefix, np.uint8)))


def integers(column: pa.Array) -> NDArray[np.int64]:
    """bool, integer, date (days) and timestamp (µs) columns as int64; null gives 0."""
    kind = column.type
    if pa.types.is_date32(kind):
        column = column.view(pa.int32())
    elif pa.types.is_timestamp(kind):
        column = column.view(pa.int64())
    if column.null_count:
        column = column.fill_null(False if pa.types.is_boolean(kind) else 0)
    return column.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)


@kernel
def _encode_integers(
    values: NDArray[np.int64], prefix: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    n, lead = len(values), len(prefix)
    offsets = np.zeros(n + 1, np.int64)
    for i in range(n):
        size = 1
        while size < 8 and (values[i] >> (8 * size - 1)) not in (0, -1):
            size += 1
        offsets[i + 1] = offsets[i] + lead + 1 + size
    data = np.empty(offsets[n], np.uint8)
    for i in range(n):
        at = offsets[i]
        for j in range(lead):
            data[at + j] = prefix[j]
        at += lead
        size = offsets[i + 1] - at - 1
        data[at] = size
        for j in range(size):
            data[at + 1 + j] = np.uint8((values[i] >> (8 * (size - 1 - j))) & 0xFF)
    return offsets, data


@kernel
def _prefix_bytes(
    offsets: NDArray[np.int64], source: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    n = len(offsets) - 1
    out = np.zeros(n + 1, np.int64)
    for i in range(n):
        size = offsets[i + 1] - offsets[i]
        head = 1
        rest = size >> 7
        while rest > 0:
            head += 1
            rest >>= 7
        out[i + 1] = out[i] + head + size
    data = np.empty(out[n], np.uint8)
    for i in range(n):
        size = offsets[i + 1] - offsets[i]
        at = out[i]
        rest = size
        while rest >= 128:
            data[at] = np.uint8(rest & 127 | 128)
            rest >>= 7
            at += 1
        data[at] = np.uint8(rest)
        at += 1
        for j in range(size):
            data[at + j] = source[offsets[i] + j]
    return out, data
