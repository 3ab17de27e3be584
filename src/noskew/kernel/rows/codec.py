"""Packed rows: the state of a view for one entity, as bytes that any store can hold.

::

    0   16   version: known time (big-endian, sign flipped), then offset or snapshot number
    16   1   format of the row, 1
    17   1   flags: 1 = a newest event is there, 2 = pending events follow at the end
    18   8   event time of the newest event (int64)
    26   …   for views with latest features: its known time and sequence where rows are merged;
             a bitmap of nulls; columns of fixed width; then the others
    …        for each group: how many tiles (uint32); their numbers; their states
    …        pending events: see :mod:`noskew.kernel.rows.pending`

All integers but the version are little-endian. Columns of fixed width are at a fixed place, so a
reader takes a thousand rows as one structured array. The rest is columnar within the row, in
the blocks of :mod:`noskew.kernel.exact.fixed_point` and
:mod:`noskew.kernel.aggregates.value_codec`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.clock import MAX_TIME, MIN_TIME
from noskew.errors import CorruptDataError
from noskew.kernel import values
from noskew.kernel.aggregates.value_codec import check_range
from noskew.kernel.cursors import Reader, read_counts, require
from noskew.kernel.jit import kernel
from noskew.kernel.keys import integers
from noskew.kernel.plan import Group, ViewPlan
from noskew.kernel.ragged import Ragged, concat
from noskew.kernel.rows.fixed_width import field_of, fixed_array, fixed_values, width_of
from noskew.kernel.rows.pending import (
    list_array,
    pack_array,
    pack_pending,
    unpack_array,
    unpack_pending,
)
from noskew.kernel.rows.tile_numbers import pack_numbers, read_numbers
from noskew.kernel.rows.window_sums import Sums, add_up
from noskew.kernel.state import Newest, Tiles, ViewState, empty, no_events

_NONE = np.zeros(0, np.int64)
VERSION_BYTES = 16
#: Bits of an offset in the number of a stream's version; how often the rows were made anew stands
#: before them.
OFFSET_BITS = 48
FORMAT = 1
HAS_NEWEST, HAS_PENDING = 1, 2
_SIGN = 1 << 63
NEVER = -(1 << 63)
_MOMENT = pa.timestamp("us")
_MARK = b"\xffnoskew\n"
_MARKED = int.from_bytes(_MARK, "little")
_NO_ROW = bytes(8)  # the version of something known never


def version_bytes(known_time: int, number: int) -> bytes:
    """The version of rows made from all facts known by a time; greater is later."""
    return (known_time + _SIGN).to_bytes(8, "big") + number.to_bytes(8, "big")


def version_array(known_time: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.void]:
    """:func:`version_bytes` of many rows: int64 of shape (n,) each to V16 of shape (n,)."""
    both = np.empty((len(known_time), 2), ">u8")
    both[:, 0] = known_time.view(np.uint64) ^ np.uint64(_SIGN)
    both[:, 1] = number.view(np.uint64)
    return both.view("V16").reshape(-1)


def version_of(row: bytes) -> tuple[int, int]:
    """(known time, number) of a row."""
    return int.from_bytes(row[:8], "big") - _SIGN, int.from_bytes(row[8:16], "big")


def known_times(rows: Sequence[bytes | None]) -> NDArray[np.int64]:
    """The known time of each row: int64, shape (rows,); :data:`NEVER` where there is none.

    Raises CorruptDataError for one outside the years 1 to 9999.
    """
    raw = b"".join([_NO_ROW if row is None else row[:8] for row in rows])
    require(len(raw) == 8 * len(rows))
    known = (np.frombuffer(raw, ">u8").astype(np.uint64) ^ np.uint64(_SIGN)).view(np.int64)
    known_rows = np.count_nonzero((known >= MIN_TIME) & (known <= MAX_TIME))
    require(known_rows == len(rows) - rows.count(None))
    return known


@dataclass(frozen=True)
class RowLayout:
    """Where things stand in the rows of a view; one for each plan."""

    plan: ViewPlan

    @cached_property
    def fixed(self) -> tuple[str, ...]:
        """Latest columns of fixed width."""
        return tuple(c for c, kind in self.plan.latest_columns.items() if width_of(kind))

    @cached_property
    def variable(self) -> tuple[str, ...]:
        """Latest columns of variable length: strings, bytes, lists."""
        return tuple(c for c, kind in self.plan.latest_columns.items() if not width_of(kind))

    @cached_property
    def null_order(self) -> tuple[str, ...]:
        """The columns in the order of their bits in the bitmap."""
        return (*self.fixed, *self.variable)

    @cached_property
    def null_bits(self) -> Mapping[str, int]:
        """The place of each latest column in the bitmap of nulls."""
        return {column: bit for bit, column in enumerate(self.null_order)}

    @cached_property
    def head_fields(self) -> Mapping[str, str]:
        """The field of :attr:`head` that holds each column of fixed width."""
        return {column: f"c{i}" for i, column in enumerate(self.fixed)}

    @cached_property
    def head(self) -> np.dtype[np.void]:
        """The part of a row that is at a fixed place, as a structured type."""
        fields: list[tuple[str, object]] = [("version", "V16"), ("format", "u1"), ("flags", "u1")]
        fields.append(("event_time", "<i8"))
        if self.plan.latest:
            if self.plan.ordered_rows:
                fields += [("known_time", "<i8"), ("sequence", "<i8")]
            fields.append(("nulls", "u1", ((len(self.null_order) + 7) // 8,)))  # type: ignore[arg-type]
            fields += [
                (field, field_of(self.plan.latest_columns[c]))
                for c, field in self.head_fields.items()
            ]
        return np.dtype(fields)

    @cached_property
    def doubles(self) -> slice | None:
        """Where all latest values stand in a row, if they are float64 and all that it holds."""
        if not self.is_fixed or {self.head[f].str for f in self.head_fields.values()} != {"<f8"}:
            return None
        width = self.head.itemsize
        return slice(width - 8 * len(self.fixed), width)

    @cached_property
    def spaced(self) -> np.dtype[np.void]:
        """As :attr:`head`, with a mark behind it."""
        return np.dtype([*self.head.descr, ("mark", "<u8")])

    @cached_property
    def no_pending(self) -> pa.Table:
        """No pending events."""
        return no_events(self.plan, 0).table

    @cached_property
    def sums(self) -> Sums | None:
        """How to ask the windows of rows without unpacking them, where they only add up."""
        return Sums(self.plan) if add_up(self.plan) else None

    @cached_property
    def blank(self) -> NDArray[np.uint8]:
        """A row of nothing."""
        return pack_rows(self, empty(self.plan, 1), bytes(16)).data

    @cached_property
    def is_fixed(self) -> bool:
        """Whether every row without pending events has the length of its head."""
        return not self.variable and not self.plan.groups


def pack_rows(layout: RowLayout, state: ViewState, version: bytes | NDArray[np.void]) -> Ragged:
    """One row for each entity of a state, of one version or one each (:func:`version_array`)."""
    n = len(state)
    pending = np.diff(state.pending_offsets) > 0
    head = np.zeros(n, layout.head)
    head["version"] = np.frombuffer(version, "V16")[0] if isinstance(version, bytes) else version
    head["format"] = FORMAT
    head["flags"] = np.where(pending, HAS_PENDING, 0)
    width = layout.head.itemsize
    parts = []
    _fill_newest(layout, head, state.newest)
    parts += [_pack_variable(state.newest.columns[c]) for c in layout.variable]
    raw = np.ascontiguousarray(head).view(np.uint8).reshape(-1)
    parts.insert(0, Ragged(np.arange(0, n * width + 1, width), raw))
    for group, tiles in zip(layout.plan.groups, state.tiles, strict=True):
        counts = np.diff(tiles.offsets).astype("<u4").view(np.uint8)
        parts.append(Ragged(np.arange(0, 4 * n + 1, 4), counts))
        if group.hop:
            parts.append(pack_numbers(tiles.offsets, tiles.number))
        parts += [s.pack(tiles.offsets) for s in tiles.states]
    if pending.any():
        parts.append(pack_pending(layout.plan, state))
    return concat(parts)


def unpack_rows(layout: RowLayout, rows: Sequence[bytes | None]) -> ViewState:
    """The states of rows; None gives an entity without anything.

    Raises CorruptDataError for bytes that :func:`pack_rows` did not write, as far as they can be
    told: every block is within its row, and the row ends where its last block does. Damage
    that keeps to that gives wrong values, never a crash.
    """
    plan, opened = layout.plan, open_rows(layout, rows)
    reader = opened.reader
    newest = read_newest(layout, opened)
    tiles = [_read_tiles(group, reader) for group in plan.groups]
    pending, offsets = layout.no_pending, np.zeros(len(rows) + 1, np.int64)
    has_pending = opened.head["flags"] & HAS_PENDING > 0
    if has_pending.any():
        pending, offsets = unpack_pending(plan, reader, has_pending)
    require((reader.at == reader.end).all())
    return ViewState(newest, tiles, pending, offsets)


@dataclass(frozen=True)
class ParsedRows:
    """Rows with their heads read: what follows is where the reader's cursors are."""

    head: NDArray[np.void]
    reader: Reader


def open_rows(layout: RowLayout, rows: Sequence[bytes | None]) -> ParsedRows:
    """Read the heads of rows; absent rows read as rows of nothing."""
    require(b"" not in rows)
    raw = Ragged.from_list([row or b"" for row in rows])
    head = read_heads(layout, raw)
    reader = Reader(raw.data, raw.offsets[:-1] + layout.head.itemsize, _NONE, raw.offsets[1:])
    formats = head["format"]
    if (formats != FORMAT).any():
        there = raw.lengths > 0
        if (formats[there] != FORMAT).any():
            raise CorruptDataError(f"rows of an unknown format; this version reads format {FORMAT}")
        reader = _with_blank(layout, reader, there)
    require((head["flags"] <= HAS_NEWEST | HAS_PENDING).all())
    return ParsedRows(head, reader)


def join_heads(layout: RowLayout, rows: Sequence[bytes | None]) -> NDArray[np.void] | None:
    """The heads of rows that are nothing else, and all there; None for others.

    A mark between the rows stands where it should only if every row has the right length:
    looking at those costs a tenth of asking each row for its own.
    """
    try:
        joined = _MARK.join([*rows, b""])  # type: ignore[list-item]
    except TypeError:
        return None
    if len(joined) != layout.spaced.itemsize * len(rows):
        return None
    heads = np.frombuffer(joined, layout.spaced)
    return heads if (heads["mark"] == _MARKED).all() else None


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


def _fill_newest(layout: RowLayout, head: NDArray[np.void], newest: Newest) -> None:
    head["flags"] |= newest.there.astype(np.uint8) * HAS_NEWEST
    head["event_time"] = newest.event_time
    if not layout.plan.latest:
        return
    if layout.plan.ordered_rows:
        head["known_time"], head["sequence"] = newest.place[:, 1], newest.place[:, 2]
    bits = np.zeros((len(head), 8 * head["nulls"].shape[1]), np.uint8)
    for i, name in enumerate(layout.null_order):
        bits[:, i] = ~values.valid_of(newest.columns[name])
    head["nulls"] = np.packbits(bits, axis=1, bitorder="little")
    for name, field in layout.head_fields.items():
        head[field] = fixed_values(newest.columns[name])


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


def read_newest(layout: RowLayout, opened: ParsedRows) -> Newest:
    """The newest event of each row; moves the cursors past it."""
    head, reader = opened.head, opened.reader
    has = head["flags"] & HAS_NEWEST > 0
    place = np.zeros((len(head), 3), np.int64)
    place[:, 0] = head["event_time"]
    check_range(place[:, 0], _MOMENT)
    if not layout.plan.latest:
        return Newest(has, place, {})
    if layout.plan.ordered_rows:
        place[:, 1], place[:, 2] = head["known_time"], head["sequence"]
    nulls = np.unpackbits(head["nulls"], axis=1, bitorder="little").astype(bool)
    columns: dict[str, pa.Array] = {}
    for i, name in enumerate(layout.null_order):
        kind = layout.plan.latest_columns[name]
        valid = has & ~nulls[:, i]
        if name in layout.head_fields:
            columns[name] = fixed_array(head[layout.head_fields[name]], valid, kind)
        else:
            columns[name] = _unpack_variable(reader, valid, kind)
    return Newest(has, place, columns)


def _read_tiles(group: Group, reader: Reader) -> Tiles:
    if group.hop:
        counts, offsets, number = read_numbers(reader.data, reader.at, reader.end)
        reader = reader.of(counts)
    else:
        counts = read_counts(reader)
        require((counts <= 1).all())
        reader = reader.of(counts)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        number = np.zeros(offsets[-1], np.int64)
    return Tiles(offsets, number, [a.unpack(reader) for a in group.accumulators])


def _with_blank(layout: RowLayout, reader: Reader, there: NDArray[np.bool_]) -> Reader:
    """Point absent rows at a row of nothing, appended to the data."""
    data = np.concatenate([reader.data, layout.blank])
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
