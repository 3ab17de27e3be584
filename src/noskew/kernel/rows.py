"""Packed rows: the state of a view for one entity, as bytes that any store can hold.

::

    0   16   version: known time (big-endian, sign flipped), then offset or snapshot number
    16   1   format of the row, 1
    17   1   flags: 1 = a newest row is there, 2 = pending events follow at the end
    18   …   for views with latest features: event time (int64); known time and sequence where
             rows are merged; a bitmap of nulls; columns of fixed width; then the others
    …        for each group: how many tiles (uint32); their numbers; their states
    …        pending events: see :mod:`noskew.kernel.pending`

All integers but the version are little-endian. Columns of fixed width are at a fixed place, so a
reader takes a thousand rows as one structured array. The rest is columnar within the row, in
the blocks of :mod:`noskew.kernel.fixed_point` and :mod:`noskew.kernel.aggregates.coded`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.errors import CorruptDataError
from noskew.kernel import fixed_point, values
from noskew.kernel.aggregates.coded import check_range
from noskew.kernel.cursors import Reader, arrow_values, insist, need, read_counts
from noskew.kernel.jit import kernel
from noskew.kernel.keys import integers
from noskew.kernel.pending import list_array, pack_array, pack_pending, unpack_array, unpack_pending
from noskew.kernel.plan import Group, ViewPlan
from noskew.kernel.ragged import Ragged, concat
from noskew.kernel.state import Newest, Tiles, ViewState, empty, no_events

_NONE = np.zeros(0, np.int64)
FORMAT = 1
HAS_NEWEST, HAS_PENDING = 1, 2
HEADER = 18
_SIGN = 1 << 63


def version_bytes(known_time: int, number: int) -> bytes:
    """The version of rows made from all facts known by a time; greater is later."""
    return (known_time + _SIGN).to_bytes(8, "big") + number.to_bytes(8, "big")


def version_of(row: bytes) -> tuple[int, int]:
    """(known time, number) of a row."""
    return int.from_bytes(row[:8], "big") - _SIGN, int.from_bytes(row[8:16], "big")


@dataclass(frozen=True)
class RowLayout:
    """Where things stand in the rows of a view; one for each plan."""

    plan: ViewPlan

    @cached_property
    def fixed(self) -> tuple[str, ...]:
        """Latest columns of fixed width, widest first, so that few bytes are lost."""
        found = [c for c, kind in self.plan.latest_columns.items() if _width(kind)]
        return tuple(found)

    @cached_property
    def variable(self) -> tuple[str, ...]:
        """Latest columns of variable length: strings, bytes, lists."""
        return tuple(c for c, kind in self.plan.latest_columns.items() if not _width(kind))

    @cached_property
    def null_order(self) -> tuple[str, ...]:
        """The columns in the order of their bits in the bitmap."""
        return (*self.fixed, *self.variable)

    @cached_property
    def head(self) -> np.dtype[np.void]:
        """The part of a row that is at a fixed place, as a structured type."""
        fields: list[tuple[str, object]] = [("version", "V16"), ("format", "u1"), ("flags", "u1")]
        if self.plan.latest:
            fields.append(("event_time", "<i8"))
            if self.plan.ordered_rows:
                fields += [("known_time", "<i8"), ("sequence", "<i8")]
            fields.append(("nulls", "u1", ((len(self.null_order) + 7) // 8,)))  # type: ignore[arg-type]
            fields += [
                (f"c{i}", _field(self.plan.latest_columns[c])) for i, c in enumerate(self.fixed)
            ]
        return np.dtype(fields)

    @cached_property
    def no_pending(self) -> pa.Table:
        """No pending events."""
        return no_events(self.plan, 0).table

    @cached_property
    def is_fixed(self) -> bool:
        """Whether every row without pending events has the length of its head."""
        return not self.variable and not self.plan.groups


def pack(layout: RowLayout, state: ViewState, version: bytes) -> Ragged:
    """One row for each entity of a state."""
    n = len(state)
    pending = np.diff(state.pending_offsets) > 0
    head = np.zeros(n, layout.head)
    head["version"] = np.frombuffer(version, "V16")[0]
    head["format"] = FORMAT
    head["flags"] = np.where(pending, HAS_PENDING, 0)
    width = layout.head.itemsize
    parts = []
    if state.newest is not None:
        _fill_newest(layout, head, state.newest)
        parts += [_pack_variable(state.newest.columns[c]) for c in layout.variable]
    raw = np.ascontiguousarray(head).view(np.uint8).reshape(-1)
    parts.insert(0, Ragged(np.arange(0, n * width + 1, width), raw))
    for group, tiles in zip(layout.plan.groups, state.tiles, strict=True):
        counts = np.diff(tiles.offsets).astype("<u4").view(np.uint8)
        parts.append(Ragged(np.arange(0, 4 * n + 1, 4), counts))
        if group.hop:
            parts.append(_pack_numbers(tiles))
        parts += [s.pack(tiles.offsets) for s in tiles.states]
    if pending.any():
        parts.append(pack_pending(layout.plan, state))
    return concat(parts)


def unpack(layout: RowLayout, rows: Sequence[bytes | None]) -> ViewState:
    """The states of rows; None gives an entity without anything.

    Raises CorruptDataError for bytes that :func:`pack` did not write, as far as they can be
    told: every block is within its row, and the row ends where its last block does. Damage
    that keeps to that gives wrong values, never a crash.
    """
    plan = layout.plan
    raw = Ragged.from_list([row or b"" for row in rows])
    there = raw.lengths > 0
    head = read_heads(layout, raw)
    if (head["format"][there] != FORMAT).any():
        raise CorruptDataError(f"rows of an unknown format; this version reads format {FORMAT}")
    insist((head["flags"] <= HAS_NEWEST | HAS_PENDING).all())
    reader = Reader(raw.data, raw.offsets[:-1] + layout.head.itemsize, _NONE, raw.offsets[1:])
    if not there.all():
        # Absent rows read as empty ones: all counts zero, no blocks.
        reader = _with_blank(layout, reader, there)
    newest = None
    if plan.latest:
        newest = _read_newest(layout, head, reader)
    tiles = [_read_tiles(group, reader) for group in plan.groups]
    pending, offsets = layout.no_pending, np.zeros(len(rows) + 1, np.int64)
    has_pending = head["flags"] & HAS_PENDING > 0
    if has_pending.any():
        pending, offsets = unpack_pending(plan, reader, has_pending)
    insist((reader.at == reader.end).all())
    return ViewState(newest, tiles, pending, offsets)


def read_heads(layout: RowLayout, raw: Ragged) -> NDArray[np.void]:
    """The heads of rows as one structured array; absent rows give zeros."""
    width = layout.head.itemsize
    lengths = raw.lengths
    if ((lengths > 0) & (lengths < width)).any():
        raise CorruptDataError(f"a row is shorter than the {width} bytes of its head")
    if layout.is_fixed and (lengths == width).all():
        return raw.data.view(layout.head)
    out = np.zeros(len(raw), layout.head)
    _copy_heads(raw.offsets, raw.data, width, out.view(np.uint8).reshape(len(raw), width))
    return out


def _width(kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        inner = _width(kind.value_type)
        return int(kind.list_size * inner)
    if pa.types.is_boolean(kind):
        return 1
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_list(kind):
        return 0
    return int(kind.bit_width // 8)


def _field(kind: pa.DataType) -> object:
    if pa.types.is_fixed_size_list(kind) or pa.types.is_decimal(kind):
        return f"V{_width(kind)}"
    if pa.types.is_boolean(kind):
        return "u1"
    letter = "f" if pa.types.is_floating(kind) else "i"
    return f"<{letter}{_width(kind)}"


def _fill_newest(layout: RowLayout, head: NDArray[np.void], newest: Newest) -> None:
    head["flags"] |= newest.there.astype(np.uint8) * HAS_NEWEST
    head["event_time"] = newest.place[:, 0]
    if layout.plan.ordered_rows:
        head["known_time"], head["sequence"] = newest.place[:, 1], newest.place[:, 2]
    bits = np.zeros((len(head), 8 * head["nulls"].shape[1]), np.uint8)
    for i, name in enumerate(layout.null_order):
        bits[:, i] = ~values.valid_of(newest.columns[name])
    head["nulls"] = np.packbits(bits, axis=1, bitorder="little")
    for i, name in enumerate(layout.fixed):
        head[f"c{i}"] = fixed_values(newest.columns[name])


def fixed_values(column: pa.Array) -> NDArray[np.generic]:
    """A column of fixed width as NumPy items; null gives zero bytes."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_decimal(kind):
        width = _width(kind)
        if column.null_count:
            keep = values.valid_of(column)
            out = np.zeros(len(column), f"V{width}")
            out[keep] = fixed_values(column.drop_null())
            return out
        if pa.types.is_decimal(kind):
            raw = np.frombuffer(column.buffers()[1], np.uint8)
            raw = raw[16 * column.offset : 16 * (column.offset + len(column))]
        else:
            items = fixed_values(column.flatten())
            raw = np.ascontiguousarray(items).view(np.uint8)
        return np.ascontiguousarray(raw).view(f"V{width}")
    if pa.types.is_floating(kind):
        filled = column.fill_null(0.0) if column.null_count else column
        return values.one_nan(filled.to_numpy(zero_copy_only=False))
    return integers(column)


def fixed_array(
    items: NDArray[np.generic], valid: NDArray[np.bool_], kind: pa.DataType
) -> pa.Array:
    """The inverse of :func:`fixed_values`. Raises CorruptDataError for what is no value."""
    mask = None if valid.all() else ~valid
    if pa.types.is_fixed_size_list(kind):
        raw = np.ascontiguousarray(items).view(np.uint8)
        inner = raw.view(_field(kind.value_type))  # type: ignore[call-overload]
        flat = fixed_array(inner, np.ones(len(inner), bool), kind.value_type)
        nulls = None if mask is None else pa.array(mask)
        return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=nulls)
    if pa.types.is_decimal(kind):
        raw = np.ascontiguousarray(items).view(np.uint8)
        bits = None if mask is None else pa.array(valid).buffers()[1]
        made = pa.Array.from_buffers(kind, len(items), [bits, pa.py_buffer(raw)])
        with arrow_values():
            made.validate(full=True)  # no more digits than the type has
        return made
    check_range(items, kind)
    if pa.types.is_boolean(kind):
        return pa.array(items.astype(bool), mask=mask)
    made = pa.array(np.ascontiguousarray(items), mask=mask)
    return made if made.type == kind else made.view(kind)


def _pack_variable(column: pa.Array) -> Ragged:
    n = len(column)
    if not pa.types.is_list(column.type):
        return pack_array(column, np.arange(n + 1))
    counts = integers(pa.compute.list_value_length(column).fill_null(0))
    slots = np.concatenate([[0], np.cumsum(counts)])
    counted = Ragged(np.arange(0, 4 * n + 1, 4), counts.astype("<u4").view(np.uint8))
    return concat([counted, pack_array(column.flatten(), slots)])


def _unpack_variable(reader: Reader, valid: NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    if not pa.types.is_list(kind):
        return unpack_array(reader.of(np.ones(len(valid), np.int64)), kind)
    counts = read_counts(reader)
    items = unpack_array(reader.of(counts), kind.value_type)
    return list_array(items, np.concatenate([[0], np.cumsum(counts)]), valid, kind)


def _read_newest(
    layout: RowLayout,
    head: NDArray[np.void],
    reader: Reader,
) -> Newest:
    has = head["flags"] & HAS_NEWEST > 0
    place = np.zeros((len(head), 3), np.int64)
    place[:, 0] = head["event_time"]
    check_range(place[:, 0], pa.timestamp("us"))
    if layout.plan.ordered_rows:
        place[:, 1], place[:, 2] = head["known_time"], head["sequence"]
    nulls = np.unpackbits(head["nulls"], axis=1, bitorder="little").astype(bool)
    columns: dict[str, pa.Array] = {}
    for i, name in enumerate(layout.null_order):
        kind = layout.plan.latest_columns[name]
        valid = has & ~nulls[:, i]
        if i < len(layout.fixed):
            columns[name] = fixed_array(head[f"c{i}"], valid, kind)
        else:
            columns[name] = _unpack_variable(reader, valid, kind)
    return Newest(has, place, columns)


def _pack_numbers(tiles: Tiles) -> Ragged:
    """Tile numbers: the first as int64, the others as differences, as narrow as they fit."""
    n = len(tiles.offsets) - 1
    there = np.diff(tiles.offsets) > 0
    first = tiles.number[tiles.offsets[:-1][there]]
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(there * 8, out=starts[1:])
    steps = np.diff(tiles.number, prepend=0)
    steps[tiles.offsets[:-1][there]] = 0
    block = fixed_point.pack(steps.reshape(-1, 1), 0, tiles.offsets)
    return concat([Ragged(starts, first.astype("<i8").view(np.uint8)), block])


def _read_tiles(group: Group, reader: Reader) -> Tiles:
    counts = read_counts(reader)
    # Tiles of a hop have different numbers, so a second one takes a byte at least; without a
    # hop there is one tile. Checked first, since memory is set aside by these counts.
    insist((counts <= (reader.end - reader.at if group.hop else 1)).all())
    reader = reader.of(counts)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    if group.hop:
        first = _read_firsts(reader.data, reader.at, counts, reader.end)
        steps, grid = fixed_point.unpack(reader)
        number = _join_limbs(steps, grid)
        number[offsets[:-1][counts > 0]] = first[counts > 0]
        number = _running(number, offsets)
    else:
        number = np.zeros(offsets[-1], np.int64)
    return Tiles(offsets, number, [a.unpack(reader) for a in group.accumulators])


def _join_limbs(limbs: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    out = np.zeros(len(limbs), np.int64)
    for j in range(limbs.shape[1]):
        if 0 <= first + j <= 1:
            out += limbs[:, j] << (32 * (first + j))
    return out


def _with_blank(layout: RowLayout, reader: Reader, there: NDArray[np.bool_]) -> Reader:
    """Point absent rows at a row of nothing, appended to the data."""
    blank = pack(layout, empty(layout.plan, 1), bytes(16)).data
    data = np.concatenate([reader.data, blank])
    at = np.where(there, reader.at, len(reader.data) + layout.head.itemsize)
    return Reader(data, at, reader.counts, np.where(there, reader.end, len(data)))


@kernel
def _copy_heads(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], width: int, out: NDArray[np.uint8]
) -> None:
    for i in range(len(out)):
        if offsets[i + 1] > offsets[i]:
            for b in range(width):
                out[i, b] = data[offsets[i] + b]


@kernel
def _read_firsts(
    data: NDArray[np.uint8],
    at: NDArray[np.int64],
    counts: NDArray[np.int64],
    end: NDArray[np.int64],
) -> NDArray[np.int64]:
    for r in range(len(at)):
        need(at[r], 8 if counts[r] else 0, end[r])
    out = np.zeros(len(at), np.int64)
    for r in range(len(at)):
        if counts[r] == 0:
            continue
        word = np.uint64(0)
        for b in range(8):
            word |= np.uint64(data[at[r] + b]) << np.uint64(8 * b)
        out[r] = np.int64(word)
        at[r] += 8
    return out


@kernel
def _running(steps: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    out = steps.copy()
    for e in range(len(offsets) - 1):
        for i in range(offsets[e] + 1, offsets[e + 1]):
            out[i] += out[i - 1]
    return out
