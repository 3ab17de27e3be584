"""What adds up: counts, exact sums, exact sums of squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel import values
from noskew.kernel.aggregates.base import Accumulator, Lifted
from noskew.kernel.aggregates.exact_state import SPECIALS, Additive, unpack_additive
from noskew.kernel.aggregates.prefix_sums import PrefixCounts, PrefixSums
from noskew.kernel.arrays import Mask
from noskew.kernel.cursors import Reader
from noskew.kernel.events import Events
from noskew.kernel.exact import sums
from noskew.kernel.keys import integers

_N = TypeVar("_N", np.int64, np.float64)


@dataclass(frozen=True)
class Count(Accumulator):
    """How many events count: not null in ``column`` and true in ``where``."""

    column: str | None
    where: str | None

    def lift(self, events: Events) -> Lifted:
        return PrefixCounts.of(events.mask(self.column, self.where))

    def unpack(self, reader: Reader) -> Additive:
        return unpack_additive(reader, 0)


@dataclass(frozen=True)
class Sum(Accumulator):
    """The exact sum of a column of integers, bools, floats or decimals."""

    column: str
    where: str | None

    def lift(self, events: Events) -> Lifted:
        column = events.column(self.column)
        mask = events.mask(self.column, self.where)
        if pa.types.is_decimal(column.type):
            return Additive(_lift_decimals(column, mask), 0, extra=SPECIALS)
        if pa.types.is_floating(column.type):
            return PrefixSums.of_floats(_only(values.floats(column), mask))
        return PrefixSums.of_integers(_only(integers(column), mask))

    def unpack(self, reader: Reader) -> Additive:
        return unpack_additive(reader, SPECIALS)


@dataclass(frozen=True)
class Squares(Accumulator):
    """The exact sum of the squares of a column of integers, bools or floats."""

    column: str
    where: str | None

    def lift(self, events: Events) -> Additive:
        column = events.column(self.column)
        mask = events.mask(self.column, self.where)
        if not pa.types.is_floating(column.type):
            return Additive(sums.lift_integer_squares(integers(column), mask), 0)
        numbers = values.floats(column)
        first, end = sums.float_span(numbers, mask)
        width = 2 * (end - first) + 2
        return Additive(sums.lift_float_squares(numbers, mask, 2 * first, width), 2 * first)

    def unpack(self, reader: Reader) -> Additive:
        return unpack_additive(reader, 0)


def _only(numbers: NDArray[_N], mask: Mask) -> NDArray[_N]:
    """The numbers with 0 where not masked."""
    return numbers if mask.all() else np.where(mask, numbers, numbers.dtype.type(0))


def _lift_decimals(column: pa.Array, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    _, data = column.buffers()
    words = np.frombuffer(data, np.int32)[4 * column.offset : 4 * (column.offset + len(column))]
    limbs = words.reshape(-1, 4).astype(np.int64)
    limbs[:, :3] &= 0xFFFFFFFF  # only the top word carries the sign
    limbs[~mask] = 0
    return limbs
