"""What every backend checks on entry, so that no store takes a row another would refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from noskew.errors import CorruptDataError, InputError, LimitError
from noskew.stores.online.base import MAX_KEY_BYTES, VERSION_BYTES

if TYPE_CHECKING:
    import pyarrow as pa


def check_keys(keys: Sequence[bytes]) -> None:
    """Raise InputError unless every key is 1 to MAX_KEY_BYTES bytes long."""
    if len(keys) == 1 and 0 < len(keys[0]) <= MAX_KEY_BYTES:
        return  # the commonest read, spared the sets below
    # A set of lengths is small whatever the number of keys, and half the work of a list.
    lengths = set(map(len, keys))
    if lengths and not (min(lengths) > 0 and max(lengths) <= MAX_KEY_BYTES):
        at = next(i for i, key in enumerate(keys) if not 0 < len(key) <= MAX_KEY_BYTES)
        raise InputError(
            f"key {at} has {len(keys[at])} bytes; a key has 1 to {MAX_KEY_BYTES} bytes: "
            f"shorten the join keys, or hash them before they are used as a key"
        )


def check_rows(keys: Sequence[bytes], rows: Sequence[bytes], *, longest: int | None = None) -> None:
    """Raise InputError unless the keys are valid and each has a row of at least VERSION_BYTES.

    LimitError, which is one, for a row of more than ``longest`` bytes.
    """
    if len(keys) != len(rows):
        raise InputError(f"expected one row for each key, got {len(keys)} keys, {len(rows)} rows")
    check_keys(keys)
    lengths = set(map(len, rows))
    if min(lengths, default=VERSION_BYTES) < VERSION_BYTES:
        at = next(i for i, row in enumerate(rows) if len(row) < VERSION_BYTES)
        raise InputError(
            f"row {at} has {len(rows[at])} bytes; a row starts with its version "
            f"of {VERSION_BYTES} bytes"
        )
    if longest is not None and max(lengths, default=0) > longest:
        at = next(i for i, row in enumerate(rows) if len(row) > longest)
        raise LimitError(
            f"row {at} has {len(rows[at])} bytes; this store takes rows of at most {longest} "
            f"bytes: keep fewer or shorter values in the view, or use a store without that bound"
        )


def check_batch(keys: pa.Array, rows: pa.Array) -> None:
    """As ``check_rows``, for columns of type ``large_binary``."""
    import pyarrow.compute as pc

    if not len(keys):
        return
    found = pc.min_max(pc.binary_length(keys)).as_py()
    least = pc.min(pc.binary_length(rows)).as_py()
    if not 0 < found["min"] <= found["max"] <= MAX_KEY_BYTES or least < VERSION_BYTES:
        check_rows(keys.to_pylist(), rows.to_pylist())


def greatest_by_key(keys: Sequence[bytes], rows: Sequence[bytes]) -> dict[bytes, bytes]:
    """One row for each key, that of the greatest version; among equal versions the first."""
    greatest = dict(zip(keys, rows, strict=True))
    if len(greatest) == len(keys):
        return greatest
    greatest.clear()
    for key, row in zip(keys, rows, strict=True):
        held = greatest.get(key)
        if held is None or held[:VERSION_BYTES] < row[:VERSION_BYTES]:
            greatest[key] = row
    return greatest


def check_stored(rows: Sequence[bytes | None], place: str) -> None:
    """Raise CorruptDataError if a stored row is too short to be one of ours."""
    if len(rows) == 1 and ((row := rows[0]) is None or len(row) >= VERSION_BYTES):
        return
    try:
        lengths = set(map(len, cast("Sequence[bytes]", rows)))
    except TypeError:  # some are absent
        lengths = {len(row) for row in rows if row is not None}
    shortest = min(lengths, default=VERSION_BYTES)
    if shortest < VERSION_BYTES:
        raise short_row(place, shortest)


def short_row(place: str, found: int) -> CorruptDataError:
    """The error for stored bytes that cannot be a row."""
    return CorruptDataError(
        f"{place} holds a value of {found} bytes; every row starts with a version of "
        f"{VERSION_BYTES} bytes, so something other than noskew wrote it, or it is damaged: "
        f"give noskew a store of its own, delete that key and materialize again"
    )
