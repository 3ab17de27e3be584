"""Parts: the rows that an entity has in several partitions, merged into the one that all make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noskew.kernel.rows.codec import VERSION_BYTES, RowLayout, known_times, pack_rows, unpack_rows
from noskew.kernel.state import merge


def merge_rows(
    layout: RowLayout, parts: Sequence[Sequence[bytes | None]], size: int
) -> list[bytes | None]:
    """One row for each of ``size`` entities: what folding the facts of all its parts gives.

    ``parts``: for each part the rows of all entities, None where one has no such part. A row is
    known as of the latest of its parts, and has that one's version; None: it has no part. Raises
    CorruptDataError for bytes that are not rows.
    """
    parts_of: dict[int, list[bytes]] = {}
    for rows in parts:
        for i, row in enumerate(rows):
            if row is not None:
                parts_of.setdefault(i, []).append(row)
    several = {i: rows for i, rows in parts_of.items() if len(rows) > 1}
    out = [parts_of[i][0] if i in parts_of else None for i in range(size)]
    if several:
        merged = _merged(layout, list(several.values()))
        for i, row in zip(several, merged, strict=True):
            out[i] = row
    return out


def _merged(layout: RowLayout, groups: Sequence[list[bytes]]) -> list[bytes]:
    """One row for each group of rows; all of them are unpacked at once."""
    versions = [max(row[:VERSION_BYTES] for row in rows) for rows in groups]
    state = unpack_rows(layout, [row for rows in groups for row in rows])
    at = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    states = merge(layout.plan, [(state, at)], len(groups), known_times(versions))
    return pack_rows(layout, states, np.frombuffer(b"".join(versions), "V16")).to_list()
