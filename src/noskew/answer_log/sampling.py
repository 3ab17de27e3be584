"""Sampling: which rows of answers are kept. Of the same entities always, to follow them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from zlib import crc32

from noskew.addresses import PREFIX_BYTES
from noskew.kernel.key_hashes import low_hashes
from noskew.reading.request_plan import RequestPlan

#: CRC-32 has so many values.
_RANGE = 1 << 32
#: That of rows with a null key, of which there is nothing to follow.
_NULL = _RANGE - 1
#: An odd number near the golden ratio of the range: hashes of two keys are not to cancel out.
_MIX = 0x9E3779B1
#: From so many rows on they are hashed together.
_MANY = 8

#: The places of rows in their request, and the hashes of their entities.
Picked = tuple[Sequence[int], Sequence[int]]


class Sample:
    """Picks the rows whose entity has a hash in the lowest ``share`` of all hashes.

    The hash is CRC-32 of the encoded join keys: it spreads keys that follow one another evenly,
    and is quickly done. It does not depend on definitions, so that services of an entity, and
    later definitions of one, keep answers for the same entities.
    """

    def __init__(self, plan: RequestPlan, share: float) -> None:
        self._limit = round(share * _RANGE)
        first = {view.keys: i for i, view in reversed(list(enumerate(plan.views)))}
        #: Of the views of each entity the first, and how many parts its keys have.
        self._blocks = [(i, len(plan.views[i].keys)) for i in sorted(first.values())]
        self._is_alone = len(self._blocks) == 1

    def warm(self) -> None:
        """Compile what hashes many keys."""
        self._low([bytes(PREFIX_BYTES + 1)], 1, parts=1, limit=0)

    def pick(self, keys: Sequence[bytes | None], n: int) -> Picked | None:
        """The rows to keep, if any. ``keys``: store keys of all ``n`` rows, view after view."""
        if n == 1 and self._is_alone:  # most requests
            key = keys[0]
            value = _NULL if key is None else crc32(key[PREFIX_BYTES:])
            return ((0,), (value,)) if value < self._limit else None
        if n >= _MANY and self._is_alone:
            try:
                at, hashes = self._low(keys[:n], n, parts=self._blocks[0][1], limit=self._limit)
                return (at, hashes) if at else None
            except TypeError:
                pass  # a null key, which nothing can be joined with
        hashes = self._hashes(keys, n)
        at = [i for i, value in enumerate(hashes) if value < self._limit]
        return (at, [hashes[i] for i in at]) if at else None

    def _low(
        self, keys: Sequence[bytes | None], n: int, *, parts: int, limit: int
    ) -> tuple[list[int], list[int]]:
        joined = b"".join(keys)  # type: ignore[arg-type]
        return low_hashes(joined, n, lead=PREFIX_BYTES, parts=parts, limit=limit)

    def _hashes(self, keys: Sequence[bytes | None], n: int) -> list[int]:
        """The hash of each row, one by one."""
        out: list[int] = []
        for block, _ in self._blocks:
            mine = keys[block * n : (block + 1) * n]
            own = [_NULL if k is None else crc32(k[PREFIX_BYTES:]) for k in mine]
            both = zip(out or repeat(0), own, strict=False)
            out = [(a * _MIX + b) % _RANGE for a, b in both]
        return out
