"""Windows of packed rows whose aggregates all add up, without building their states.

Counts, sums and sums of squares are exact integers, so the tiles of a window can be added in
any way: here in one compiled pass over the bytes of the rows, for all windows and accumulators.
What the sums say is left to the aggregates, all windows of one in one call.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from noskew.definitions.windows import EXACT_HOP
from noskew.errors import CorruptDataError
from noskew.kernel.aggregates.additive import Count, Squares, Sum
from noskew.kernel.aggregates.base import Accumulator, Aggregate
from noskew.kernel.aggregates.exact_state import SPECIALS, Additive
from noskew.kernel.arrays import Bytes, Index
from noskew.kernel.bounds import first_tile
from noskew.kernel.cursors import DAMAGED, Reader, need
from noskew.kernel.exact import fixed_point
from noskew.kernel.jit import inline, kernel
from noskew.kernel.plan import ViewPlan, WindowFeature
from noskew.kernel.rows.tile_numbers import count_tiles, read_integer, read_tile_numbers

_first_tile = inline(first_tile)


def add_up(plan: ViewPlan) -> bool:
    """Whether a plan has windows, all of them of tiles, and accumulates nothing but sums."""
    return bool(plan.groups) and all(
        group.hop != EXACT_HOP and isinstance(a, (Count, Sum, Squares))
        for group in plan.groups
        for a in group.accumulators
    )


class Sums:
    """The windows of a plan as tables for the compiled pass.

    Each distinct accumulator has a block of *slots*, one for each group and window that it
    stands in, so that the windows of an aggregate lie together.
    """

    def __init__(self, plan: ViewPlan) -> None:
        self._accumulators = list(
            dict.fromkeys(a for group in plan.groups for a in group.accumulators)
        )
        self._extra = _table([_extra(a) for a in self._accumulators])
        self._slots = np.zeros(len(self._accumulators), np.int64)
        slot_of: dict[tuple[int, int | None, int], int] = {}
        hops: list[int] = []
        windows: list[int] = []
        ids: list[int] = []
        slots: list[int] = []
        spans, id_ends = [0], [0]
        for g, group in enumerate(plan.groups):
            mine = [self._accumulators.index(a) for a in group.accumulators]
            asked = [q.window for q in plan.queries if q.group == g]
            for window in asked:
                for a in mine:
                    slot_of[g, window, a] = int(self._slots[a])
                    slots.append(int(self._slots[a]))
                    self._slots[a] += 1
            hops.append(group.hop)
            windows += [window or 0 for window in asked]
            ids += mine
            spans.append(len(windows))
            id_ends.append(len(ids))
        self._tables = (
            _table(hops),
            _table(spans),
            _table(windows),
            _table(id_ends),
            _table(ids),
            _table(slots),
        )
        self._aggregates = self._aggregates_of(plan, slot_of)

    def _aggregates_of(
        self, plan: ViewPlan, slot_of: dict[tuple[int, int | None, int], int]
    ) -> list[tuple[Aggregate, list[str], list[tuple[int, Index]]]]:
        """Each aggregate with its features, and for its accumulators the slots of those."""
        together: dict[Aggregate, list[WindowFeature]] = {}
        for feature in plan.windows:
            together.setdefault(feature.aggregate, []).append(feature)
        aggregates = []
        for aggregate, features in together.items():
            states = []
            for a in map(self._accumulators.index, aggregate.accumulators):
                at = [slot_of[plan.group_of[f.hop], f.window, a] for f in features]
                states.append((a, np.array(at)))
            aggregates.append((aggregate, [f.name for f in features], states))
        return aggregates

    def values(self, reader: Reader, t: Index) -> dict[str, pa.Array]:
        """The window features of rows whose groups begin at the cursors, and then the row ends.

        Raises CorruptDataError for blocks that are not whole, and for anything behind them.
        """
        n = len(reader.at)
        firsts, widths, starts, sums = _sum_windows(
            reader.data, reader.at, reader.end, t, *self._tables, self._extra, self._slots
        )
        out: dict[str, pa.Array] = {}
        for aggregate, names, places in self._aggregates:
            states = []
            for a, slots in places:
                block = sums[starts[a] : starts[a + 1]].reshape(self._slots[a], n, widths[a])
                matrix = block[slots].reshape(len(slots) * n, widths[a])
                states.append(Additive.joined(matrix, int(firsts[a]), int(self._extra[a])))
            column = aggregate.finalise(*states)
            out |= {name: column.slice(i * n, n) for i, name in enumerate(names)}
        return out


def _table(numbers: list[int]) -> Index:
    return np.array(numbers, np.int64)


def _extra(accumulator: Accumulator) -> int:
    return SPECIALS if isinstance(accumulator, Sum) else 0


@kernel
def _sum_windows(
    data: Bytes,
    at: Index,
    end: Index,
    t: Index,
    hops: Index,
    spans: Index,
    windows: Index,
    id_ends: Index,
    ids: Index,
    slots: Index,
    extra: Index,
    slot_counts: Index,
) -> tuple[Index, Index, Index, Index]:
    """(first limb, columns, start of the block) of each accumulator, and all blocks.

    A block has shape (slots, rows, columns). Group g has the hop ``hops[g]``, the windows
    ``windows[spans[g]:spans[g + 1]]`` (0: without) and the accumulators
    ``ids[held[g]:held[g + 1]]``; ``slots`` has a slot for each pair of them.
    """
    n, total = len(at), len(extra)
    firsts, widths = _grids(data, at, end, hops, id_ends, ids, extra)
    starts = np.zeros(total + 1, np.int64)
    for a in range(total):
        starts[a + 1] = starts[a] + slot_counts[a] * n * widths[a]
    sums = np.zeros(starts[total], np.int64)
    number = np.zeros(64, np.int64)
    for r in range(n):
        p, pair = at[r], 0
        for g in range(len(hops)):
            count = int(read_integer(data, p, 4))
            if count > len(number):
                number = np.zeros(count, np.int64)
            p = read_tile_numbers(data, p, count, number) if hops[g] else p + 4
            size = id_ends[g + 1] - id_ends[g]
            for i in range(size):
                a = ids[id_ends[g] + i]
                after = p
                for w in range(spans[g], spans[g + 1]):
                    slot = slots[pair + (w - spans[g]) * size + i]
                    k = 0
                    if windows[w]:
                        least = _first_tile(t[r], windows[w], hops[g])
                        while k < count and number[k] < least:
                            k += 1
                    row = starts[a] + (slot * n + r) * widths[a]
                    out = sums[row : row + widths[a]]
                    after = _add_tiles(data, p, k, count, firsts[a], extra[a], out)
                p = after
            pair += size * (spans[g + 1] - spans[g])
    return firsts, widths, starts, sums


@inline
def _add_tiles(
    data: Bytes, p: int, start: int, count: int, first: int, extra: int, out: Index
) -> int:
    """Add the tiles ``start:count`` of the block at ``p`` to ``out``; where the block ends."""
    low, width = read_integer(data, p, 2), read_integer(data, p + 2, 2)
    p += fixed_point.HEADER
    for k in range(start, count):
        q = p + k * width
        for b in range(width):
            place = low + b - 4 * first
            byte = np.int64(data[q + b])
            if b == width - 1 and byte >= 128:
                byte -= 256
            out[place // 4] += byte << (8 * (place % 4))
    p += count * width
    if extra == 0:
        return p
    p += 1
    if data[p - 1] == 0:
        return p
    for k in range(start, count):
        for c in range(extra):
            out[len(out) - extra + c] += np.int64(data[p + 8 * (k * extra + c)])
    return int(p + count * extra * 8)


@inline
def _grids(
    data: Bytes, at: Index, end: Index, hops: Index, id_ends: Index, ids: Index, extra: Index
) -> tuple[Index, Index]:
    """The limbs that hold each accumulator's integers; checks that every block is there."""
    low, high = np.full(len(extra), 1 << 30), np.full(len(extra), -(1 << 30))
    for r in range(len(at)):
        p = at[r]
        for g in range(len(hops)):
            count, p = count_tiles(data, p, end[r], hops[g] != 0)
            for a in ids[id_ends[g] : id_ends[g + 1]]:
                need(p, fixed_point.HEADER, end[r])
                start, width = read_integer(data, p, 2), read_integer(data, p + 2, 2)
                p += fixed_point.HEADER
                if width < 0 or (width and not _on_grid(start, width)):
                    raise CorruptDataError(DAMAGED)
                need(p, width * count, end[r])
                p += width * count
                if width:
                    low[a], high[a] = min(low[a], start), max(high[a], start + width)
                if extra[a]:
                    need(p, 1, end[r])
                    p += 1
                    if data[p - 1]:
                        need(p, count * extra[a] * 8, end[r])
                        p += count * extra[a] * 8
        if p != end[r]:
            raise CorruptDataError(DAMAGED)
    firsts, widths = np.zeros(len(extra), np.int64), np.zeros(len(extra), np.int64)
    for a in range(len(extra)):
        if low[a] > high[a]:
            low[a], high[a] = 0, 4
        firsts[a] = low[a] // 4
        # One limb above the highest takes the carries.
        widths[a] = (high[a] - 1) // 4 - firsts[a] + 2 + extra[a]
    return firsts, widths


@inline
def _on_grid(low: int, width: int) -> bool:
    return low >= fixed_point.LOWEST and low + width <= fixed_point.HIGHEST
