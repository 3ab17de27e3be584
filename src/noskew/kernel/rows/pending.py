"""Pending events in packed rows: those of a state's entity that lie after its horizon.

::

    4   how many (uint32)
    …   event times, known times, sequences; then each column of the plan

Each as a block of :mod:`noskew.kernel.aggregates.value_codec`. A column of lists or vectors is the
lengths (null where the list is), then the items. Equal events give equal bytes.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.value_codec import pack_codes, unpack_codes
from noskew.kernel.arrays import Index
from noskew.kernel.cursors import Reader, arrow_values, read_counts, require
from noskew.kernel.events import EVENT_TIME, KNOWN_TIME, SEQUENCE
from noskew.kernel.plan import ViewPlan
from noskew.kernel.ragged import Ragged, concat
from noskew.kernel.state import ViewState

_CLOCKS = (EVENT_TIME, KNOWN_TIME, SEQUENCE)
_NONE = np.zeros(0, np.int64)


def pack_pending(plan: ViewPlan, state: ViewState) -> Ragged:
    """A block for each entity; an empty one for an entity without pending events."""
    counts = np.diff(state.pending_offsets)
    some = counts > 0
    slots = np.append(0, state.pending_offsets[1:][some])
    lengths = np.diff(slots).astype("<u4").view(np.uint8)
    parts = [Ragged(np.arange(0, 4 * len(slots), 4), lengths)]
    for name in (*_CLOCKS, *plan.columns):
        parts += _pack_column(state.pending.column(name).combine_chunks(), slots)
    packed = concat(parts)
    offsets = np.zeros(len(counts) + 1, np.int64)
    sizes = np.zeros(len(counts), np.int64)
    sizes[some] = packed.lengths
    np.cumsum(sizes, out=offsets[1:])
    return Ragged(offsets, packed.data)


def unpack_pending(
    plan: ViewPlan, reader: Reader, has: NDArray[np.bool_]
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The events and their offsets by entity; moves the cursors of the rows that have some."""
    kinds = {**dict.fromkeys(_CLOCKS, pa.int64()), **plan.column_kinds}
    mine = Reader(reader.data, reader.at[has], _NONE, reader.end[has])
    mine.counts = read_counts(mine)
    sizes = np.zeros(len(has), np.int64)
    sizes[has] = mine.counts
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    columns: dict[str, pa.Array] = {}
    for name, kind in kinds.items():
        columns[name] = _unpack_column(mine, kind)
        require(name not in _CLOCKS or columns[name].null_count == 0)
    reader.at[has] = mine.at
    return pa.table(columns), offsets


def _pack_column(column: pa.Array, slots: Index) -> list[Ragged]:
    if not _nested(column.type):
        return [pack_array(column, slots)]
    lengths = pc.list_value_length(column).cast(pa.int64())
    ends = np.concatenate([[0], np.cumsum(lengths.fill_null(0).to_numpy())])
    return [pack_array(lengths, slots), pack_array(column.flatten(), ends[slots])]


def pack_array(column: pa.Array, slots: Index) -> Ragged:
    """A block for each group of scalar values; group g is ``slots[g]:slots[g + 1]``."""
    some = values.valid_of(column)
    codes, domain = values.encode_values(column)
    if pa.types.is_floating(column.type):
        codes = values.codes_of_floats(values.one_nan(values.floats(column)))
    there = np.concatenate([[0], np.cumsum(some)])[slots]
    return pack_codes(codes[some], some, domain, slots, there)


def unpack_array(reader: Reader, kind: pa.DataType) -> pa.Array:
    """The inverse of :func:`pack_array`; moves the cursors on."""
    codes, some, domain = unpack_codes(reader, kind)
    spread = np.zeros(len(some), np.int64)
    spread[some] = codes
    return domain.decode(spread, some)


def _unpack_column(reader: Reader, kind: pa.DataType) -> pa.Array:
    if not _nested(kind):
        return unpack_array(reader, kind)
    lengths = unpack_array(reader, pa.int64())
    valid = values.valid_of(lengths)
    sizes = lengths.fill_null(0).to_numpy()
    require(((sizes >= 0) & (sizes <= len(reader.data) * 8)).all())
    ends = np.concatenate([[0], np.cumsum(sizes)])
    rows = np.concatenate([[0], np.cumsum(reader.counts)])
    items = unpack_array(reader.of(np.diff(ends[rows])), kind.value_type)
    return list_array(items, ends, valid, kind)


def list_array(
    items: pa.Array, ends: Index, valid: NDArray[np.bool_], kind: pa.DataType
) -> pa.Array:
    """Lists, or vectors, of items: list i is ``items[ends[i]:ends[i + 1]]``, or null."""
    mask = None if valid.all() else pa.array(~valid)
    lists = pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), items, mask=mask)
    with arrow_values():  # a vector must have its length
        return lists.cast(kind)


def _nested(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
