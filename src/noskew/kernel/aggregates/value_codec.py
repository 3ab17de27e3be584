"""Scalar values in packed rows: as integers where the type has a width, else as bytes.

A block of values is, for each group: a bitmap of which slots have one, then the values
that are there. Integers, floats (as order-preserving codes), bools, dates and timestamps:
``uint8 width`` and ``width`` bytes each, two's complement, little-endian, as few as the group
needs. Strings, bytes and decimals: ``uint32`` lengths, then the bytes (decimals: 16 each).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.clock import MAX_TIME, MIN_TIME
from noskew.kernel import values
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.cursors import Reader, arrow_values, need, require
from noskew.kernel.jit import kernel
from noskew.kernel.ragged import Ragged, concat
from noskew.kernel.values import Domain

_DAY = 86_400_000_000


def pack_codes(
    codes: NDArray[np.int64], some: Mask, domain: Domain, slots: Index, items: Index
) -> Ragged:
    """Blocks of values.

    ``some`` says which slots have a value, ``slots`` how slots fall into groups; ``codes``
    holds the values that are there and ``items`` how those fall into groups.
    """
    bitmap = Ragged(*_pack_bits(some, slots))
    if domain.ranked is None:
        return concat([bitmap, Ragged(*_pack_ints(codes, items))])
    pieces = _bytes_of(domain.ranked.take(pa.array(codes)))
    lengths = Ragged(items * 4, pieces.lengths.astype("<u4").view(np.uint8))
    return concat([bitmap, lengths, Ragged(pieces.offsets[items], pieces.data)])


def unpack_codes(reader: Reader, kind: pa.DataType) -> tuple[NDArray[np.int64], Mask, Domain]:
    """Codes of the values that are there, which slots have one, and what the codes mean."""
    some, present = _unpack_bits(reader.data, reader.at, reader.counts, reader.end)
    if not _has_bytes(kind):
        codes = _unpack_ints(reader.data, reader.at, present, reader.end)
        check_range(codes, kind)
        return codes, some, Domain(kind)
    pieces = Ragged(*_unpack_bytes(reader.data, reader.at, present, reader.end))
    codes, domain = values.encode_values(_from_bytes(pieces, kind))
    return codes, some, domain


def check_range(codes: NDArray[Any], kind: pa.DataType) -> None:
    """Raise CorruptDataError for integers that are no values of the type."""
    if not len(codes) or pa.types.is_floating(kind):
        return
    if pa.types.is_boolean(kind):
        low, high = 0, 1
    elif pa.types.is_timestamp(kind):
        low, high = MIN_TIME, MAX_TIME
    elif pa.types.is_date32(kind):
        low, high = MIN_TIME // _DAY, MAX_TIME // _DAY
    else:
        low, high = -(1 << (kind.bit_width - 1)), (1 << (kind.bit_width - 1)) - 1
    require(codes.min() >= low and codes.max() <= high)


def _has_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_decimal(kind)


def _bytes_of(array: pa.Array) -> Ragged:
    if pa.types.is_decimal(array.type):
        raw = np.frombuffer(array.buffers()[1], np.uint8)
        raw = raw[16 * array.offset : 16 * (array.offset + len(array))]
        return Ragged(np.arange(0, 16 * len(array) + 1, 16), raw)
    pieces = Ragged.from_arrow(array)
    start = pieces.offsets[0]
    return Ragged(pieces.offsets - start, pieces.data[start : pieces.offsets[-1]])


def _from_bytes(pieces: Ragged, kind: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(kind):
        require((pieces.lengths == 16).all())
        column = pa.Array.from_buffers(kind, len(pieces), [None, pa.py_buffer(pieces.data.copy())])
        with arrow_values():
            column.validate(full=True)  # no more digits than the type has
        return column
    require(len(pieces.data) < 1 << 31)
    buffers = [None, pa.py_buffer(pieces.offsets.astype(np.int32)), pa.py_buffer(pieces.data)]
    with arrow_values():  # this cast refuses text that is not UTF-8
        return pa.Array.from_buffers(pa.binary(), len(pieces), buffers).cast(kind)


@kernel
def _pack_bits(some: Mask, slots: Index) -> tuple[Index, NDArray[np.uint8]]:
    n = len(slots) - 1
    offsets = np.zeros(n + 1, np.int64)
    for g in range(n):
        offsets[g + 1] = offsets[g] + (slots[g + 1] - slots[g] + 7) // 8
    data = np.zeros(offsets[n], np.uint8)
    for g in range(n):
        for i in range(slots[g], slots[g + 1]):
            if some[i]:
                b = i - slots[g]
                data[offsets[g] + b // 8] |= np.uint8(1 << (b % 8))
    return offsets, data


@kernel
def _unpack_bits(
    data: NDArray[np.uint8], at: Index, counts: Index, end: Index
) -> tuple[Mask, Index]:
    for r in range(len(counts)):
        need(at[r], (counts[r] + 7) // 8, end[r])
    some = np.zeros(counts.sum(), np.bool_)
    present = np.zeros(len(counts), np.int64)
    k = 0
    for r in range(len(counts)):
        for b in range(counts[r]):
            if data[at[r] + b // 8] >> (b % 8) & 1:
                some[k] = True
                present[r] += 1
            k += 1
        at[r] += (counts[r] + 7) // 8
    return some, present


@kernel
def _pack_ints(codes: NDArray[np.int64], items: Index) -> tuple[Index, NDArray[np.uint8]]:
    n = len(items) - 1
    widths = np.zeros(n, np.int64)
    offsets = np.zeros(n + 1, np.int64)
    for g in range(n):
        for i in range(items[g], items[g + 1]):
            width = max(widths[g], 1)
            while width < 8 and (codes[i] >> (8 * width - 1)) not in (0, -1):
                width += 1
            widths[g] = width
        offsets[g + 1] = offsets[g] + 1 + widths[g] * (items[g + 1] - items[g])
    data = np.zeros(offsets[n], np.uint8)
    for g in range(n):
        p = offsets[g]
        data[p] = np.uint8(widths[g])
        p += 1
        for i in range(items[g], items[g + 1]):
            for b in range(widths[g]):
                data[p] = np.uint8((codes[i] >> (8 * b)) & 0xFF)
                p += 1
    return offsets, data


@kernel
def _unpack_ints(
    data: NDArray[np.uint8], at: Index, present: Index, end: Index
) -> NDArray[np.int64]:
    for r in range(len(present)):
        need(at[r], 1, end[r])
        width = int(np.int64(data[at[r]]))
        need(width, 1, 9)  # at most 8 bytes
        need(at[r] + 1, width * present[r], end[r])
    out = np.zeros(present.sum(), np.int64)
    k = 0
    for r in range(len(present)):
        width = int(np.int64(data[at[r]]))
        p = at[r] + 1
        for _ in range(present[r]):
            code = np.int64(0)
            for b in range(width):
                byte = np.int64(data[p])
                if b == width - 1 and byte >= 128:
                    byte -= 256
                code += byte << (8 * b)
                p += 1
            out[k] = code
            k += 1
        at[r] = p
    return out


@kernel
def _unpack_bytes(
    data: NDArray[np.uint8], at: Index, present: Index, end: Index
) -> tuple[Index, NDArray[np.uint8]]:
    for r in range(len(present)):
        need(at[r], 4 * present[r], end[r])
        total = 4 * present[r]
        for i in range(present[r]):
            for b in range(4):
                total += np.int64(data[at[r] + 4 * i + b]) << (8 * b)
        need(at[r], total, end[r])
    offsets = np.zeros(present.sum() + 1, np.int64)
    k = 0
    for r in range(len(present)):
        for i in range(present[r]):
            size = np.int64(0)
            for b in range(4):
                size |= np.int64(data[at[r] + 4 * i + b]) << (8 * b)
            offsets[k + 1] = offsets[k] + size
            k += 1
    out = np.empty(offsets[k], np.uint8)
    k = 0
    for r in range(len(present)):
        p = at[r] + 4 * present[r]
        size = offsets[k + present[r]] - offsets[k]
        for b in range(size):
            out[offsets[k] + b] = data[p + b]
        at[r] = p + size
        k += present[r]
    return offsets, out
