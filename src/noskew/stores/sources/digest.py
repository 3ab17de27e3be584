"""A digest of Arrow data that depends on names, types and values, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from noskew.arrays import decoded
from noskew.errors import InputError

#: Bytes of a digest: 128 bits, so that equal tokens mean equal content.
SIZE = 16


class _NoDigestError(Exception):
    """A type whose values are no plain bytes."""


class ContentDigest:
    """Takes batches; gives the same token however the rows were cut into batches.

    Each column feeds separate streams for validity, lengths and values, each a plain
    concatenation over all rows: that is why batch boundaries, offsets, absent validity bitmaps
    and bytes behind nulls leave no trace. Text in its small, large, view and dictionary forms
    counts as the same; so do such forms of bytes and lists. ``at``: the positions of the columns
    that count; None for all.
    """

    def __init__(self, schema: pa.Schema, at: Sequence[int] | None = None) -> None:
        self._at = range(len(schema)) if at is None else at
        fields = [schema.field(i) for i in self._at]
        self._names = [field.name for field in fields]
        self._head = repr([(field.name, _canonical(field.type)) for field in fields])
        self._streams: dict[str, Any] = {}
        self._rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Add rows. Raises InputError for types that have no digest (maps, unions)."""
        self._rows += batch.num_rows
        for number, position in enumerate(self._at):
            array = batch.column(position)
            try:
                self._feed(str(number), array)
            except (_NoDigestError, pa.ArrowException) as error:
                raise InputError(
                    f"column {self._names[number]!r}: data of the Arrow type {array.type} cannot "
                    f"be used; convert it first, or leave the column out of the schema"
                ) from error

    def token(self) -> str:
        """32 hexadecimal digits for the rows so far."""
        whole = hashlib.blake2b(self._head.encode(), digest_size=SIZE)
        whole.update(str(self._rows).encode())
        for name in sorted(self._streams):
            whole.update(f"|{name}|".encode())
            whole.update(self._streams[name].digest())
        return whole.hexdigest()

    def _feed(self, path: str, array: Any) -> None:
        array = _plain(array)
        self._add(f"{path}.valid", np.asarray(array.is_valid()).astype(np.uint8))
        array = array.drop_null()
        kind = array.type
        if at.is_null(kind):
            return
        if at.is_large_string(kind) or at.is_large_binary(kind):
            self._add(f"{path}.lengths", pc.binary_length(array).to_numpy())
            offsets = np.frombuffer(array.buffers()[1], np.int64)
            start, end = offsets[array.offset], offsets[array.offset + len(array)]
            self._add(f"{path}.values", (array.buffers()[2] or b"")[int(start) : int(end)])
        elif at.is_large_list(kind) or at.is_fixed_size_list(kind):
            self._add(f"{path}.lengths", pc.list_value_length(array).cast(pa.int64()).to_numpy())
            self._feed(f"{path}.items", array.flatten())
        elif at.is_struct(kind):
            for number, child in enumerate(array.flatten()):
                self._feed(f"{path}.{number}", child)
        elif at.is_boolean(kind):
            self._add(f"{path}.values", np.asarray(array).astype(np.uint8))
        else:
            self._add(f"{path}.values", _fixed_width(array))

    def _add(self, stream: str, data: Any) -> None:
        if stream not in self._streams:
            self._streams[stream] = hashlib.blake2b(digest_size=SIZE)
        self._streams[stream].update(data)


def _plain(array: Any) -> Any:
    """The array in the one form of its type that is digested."""
    array = decoded(array)
    kind = array.type
    if at.is_string(kind) or at.is_string_view(kind):
        return array.cast(pa.large_string())
    if at.is_binary(kind) or at.is_binary_view(kind):
        return array.cast(pa.large_binary())
    if at.is_list(kind) or at.is_list_view(kind):
        return array.cast(pa.large_list(kind.value_field))
    return array


def _fixed_width(array: Any) -> Any:
    try:
        width = array.type.byte_width
    except ValueError:
        raise _NoDigestError from None
    if not len(array):
        return b""
    return array.buffers()[1][array.offset * width : (array.offset + len(array)) * width]


def _canonical(kind: pa.DataType) -> str:
    if at.is_dictionary(kind) or at.is_run_end_encoded(kind):
        return _canonical(kind.value_type)
    if at.is_string(kind) or at.is_large_string(kind) or at.is_string_view(kind):
        return "string"
    if at.is_binary(kind) or at.is_large_binary(kind) or at.is_binary_view(kind):
        return "binary"
    if at.is_list(kind) or at.is_large_list(kind) or at.is_list_view(kind):
        return f"list<{_canonical(kind.value_type)}>"
    if at.is_fixed_size_list(kind):
        return f"list<{_canonical(kind.value_type)}, {kind.list_size}>"
    if at.is_struct(kind):
        return repr([(field.name, _canonical(field.type)) for field in kind])
    return str(kind)
