"""One view's part of an answer: rows decoded, values finalised, statuses worked out on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.arrays import to_numpy
from noskew.clock import MAX_TIME, MIN_TIME
from noskew.errors import CorruptDataError
from noskew.kernel.cursors import require
from noskew.kernel.history import null_where
from noskew.kernel.on_demand import Column
from noskew.kernel.plan import LatestFeature
from noskew.kernel.ragged import Ragged
from noskew.kernel.rows.codec import (
    FORMAT,
    HAS_NEWEST,
    HAS_PENDING,
    fixed_array,
    join_heads,
    known_times,
    read_heads,
    version_of,
)
from noskew.kernel.rows.values_at import values_at
from noskew.kernel.values import valid_of
from noskew.reading.request_plan import ViewRequest, Wanted, is_number
from noskew.types import DType
from noskew.wire import status

StatusCodes = NDArray[np.uint8]
#: One time for all rows of an answer, or one for each of them.
Times = int | NDArray[np.int64]
#: Up to so many rows are unpacked one by one.
_FEW = 8


class ViewAnswer(ABC):
    """Values and statuses of one view's features for the rows of a request."""

    _rows: Sequence[bytes | None]

    @property
    def rows(self) -> Sequence[bytes | None]:
        """The rows of the online store that it is made of."""
        return self._rows

    @abstractmethod
    def arrow(self, feature: str) -> pa.Array:
        """The values, null where there is none."""

    @abstractmethod
    def items(self, feature: str) -> list[Any]:
        """The values as Python objects, None for null."""

    def fill(self, out: dict[str, Any], wanted: Wanted) -> None:
        """Put the values into ``out``, as Python lists under their names in the answer."""
        for name, feature in wanted:
            out[name] = self.items(feature)

    def columns(self, wanted: Sequence[tuple[str, DType]]) -> list[Column]:
        """The values of some features, of these types, as on-demand functions take them."""
        return [Column(kind, arrow=self.arrow(feature)) for feature, kind in wanted]

    def numpy(self, feature: str) -> NDArray[Any]:
        """The values as an array; see :func:`noskew.arrays.to_numpy` for nulls."""
        return to_numpy(self.arrow(feature))

    def array(self, feature: str) -> NDArray[Any] | None:
        """The values as a NumPy array of numbers; None if they are others, or some are null."""
        column = self.arrow(feature)
        if column.null_count or not is_number(column.type):
            return None
        return column.to_numpy(zero_copy_only=False)

    def finite_arrays(self, wanted: Wanted) -> dict[str, NDArray[Any]] | None:
        """The values by name, as arrays, if all are known at once to be finite; else None."""
        return None

    def whole_row(self, wanted: Wanted) -> tuple[int, tuple[Any, ...]] | None:
        """Event time and values of the only row, if all are known at once to be PRESENT numbers."""
        return None

    @property
    @abstractmethod
    def is_complete(self) -> bool:
        """Whether it is known at once that every status of every feature is PRESENT."""

    @abstractmethod
    def statuses(self, feature: str) -> StatusCodes:
        """A code of :mod:`noskew.wire.status` for each row."""

    @property
    @abstractmethod
    def event_times(self) -> NDArray[np.int64]:
        """The event time of each row's newest event up to the time asked for; 0 where none.

        int64, microseconds, shape (rows,). The newest by event time of all events that the row
        has folded, whether or not a window still holds it or a filter let it count.
        """

    @property
    @abstractmethod
    def versions(self) -> list[tuple[int, int] | None]:
        """(known time, number) of each row."""


def answer(
    request: ViewRequest,
    rows: Sequence[bytes | None],
    unkeyed: Sequence[int],
    t: Times,
    stale: bool,
) -> ViewAnswer:
    """Decode the rows of one view.

    A row is asked at ``t``, or at its own known time if that is later: when the clock that
    gave ``t`` is behind, the row holds facts that ``t`` could not know, and what it says is
    right as of the time when it was made. Values, ages and event times all keep to that.

    ``unkeyed``: rows whose key has a null part. ``t``: the time asked for, one for all rows or
    one each (int64, shape (rows,)). ``stale``: the view is behind its freshness bound. Raises
    CorruptDataError for bytes that are not rows.
    """
    if 0 < len(rows) <= _FEW and request.plain is not None and _are_plain(request, rows):
        return PlainAnswer(request, rows, t, stale)
    if request.layout.is_fixed:
        fixed = FixedAnswer(request, rows, t, stale)
        if not fixed.has_pending:
            return fixed
    return StateAnswer(request, rows, unkeyed, t, stale)


class FixedAnswer(ViewAnswer):
    """Rows of latest values, all of fixed width: one structured array, read in place."""

    def __init__(
        self, request: ViewRequest, rows: Sequence[bytes | None], t: Times, stale: bool
    ) -> None:
        self._request, self._rows, self._t, self._stale = request, rows, t, stale
        layout = request.layout
        self._there: NDArray[np.bool_] | None = None
        head = join_heads(layout, rows)
        whole = head is not None
        if head is None:
            require(b"" not in rows)
            raw = Ragged.from_list([row or b"" for row in rows])
            head = read_heads(layout, raw)
            self._there = raw.lengths > 0
        self._head = head
        formats = self._head["format"]
        if (formats != FORMAT).any() and (
            self._there is None or (formats[self._there] != FORMAT).any()
        ):
            raise CorruptDataError(f"rows of an unknown format; this version reads {FORMAT}")
        flags = self._head["flags"]
        some, every = int(np.bitwise_or.reduce(flags)), int(np.bitwise_and.reduce(flags))
        require(some <= HAS_NEWEST | HAS_PENDING)
        self.has_pending = bool(some & HAS_PENDING)
        # What follows a head is pending events; there is nothing else to follow it.
        width = layout.head.itemsize
        require(whole or self.has_pending or (raw.lengths[self._there] == width).all())
        self._all_newest = bool(every & HAS_NEWEST)
        self._any_null = np.bitwise_or.reduce(self._head["nulls"], axis=0).tolist()
        self._no_nulls = self._all_newest and not any(self._any_null)
        self._statuses: dict[tuple[int | None, int | None], StatusCodes] = {}
        self._freshness: dict[int, NDArray[np.bool_]] = {}

    def _valid(self, feature: LatestFeature) -> NDArray[np.bool_] | None:
        """Which rows have a value; None: all."""
        if self._no_nulls and feature.max_age is None:
            return None
        valid = self._head["flags"] & HAS_NEWEST > 0
        if not self._no_nulls:
            bit = self._request.null_bits[feature.column]
            valid &= (self._head["nulls"][:, bit // 8] >> (bit % 8)) & 1 == 0
        if feature.max_age is not None:
            valid &= self._fresh(feature.max_age)
        return valid

    def _fresh(self, max_age: int) -> NDArray[np.bool_]:
        fresh = self._freshness.get(max_age)  # features of a view mostly share one age
        if fresh is None:
            fresh = self._freshness[max_age] = self.event_times >= self._times - max_age
        return fresh

    @cached_property
    def _times(self) -> NDArray[np.int64]:
        """The time each row is asked at; see :func:`answer`."""
        return np.maximum(known_times(self._rows), self._t)

    def columns(self, wanted: Sequence[tuple[str, DType]]) -> list[Column]:
        return [self._column(feature, kind) for feature, kind in wanted]

    def _column(self, feature: str, kind: DType) -> Column:
        if feature not in self._request.numbers:
            return Column(kind, arrow=self.arrow(feature))
        spec, field = self._request.fields[feature]
        valid = self._valid(spec)
        values = np.ascontiguousarray(self._head[field])
        if valid is None or valid.all():
            return Column(kind, values)
        return Column(kind, np.where(valid, values, values.dtype.type(0)), valid)

    def finite_arrays(self, wanted: Wanted) -> dict[str, NDArray[Any]] | None:
        block = self._request.doubles
        if block is None or not self._no_nulls:
            return None
        where, places = block
        rows = self._head.view(np.uint8).reshape(len(self._head), -1)
        # One copy for all columns, instead of one each.
        values = np.ascontiguousarray(rows[:, where].view("<f8").T)
        if not np.isfinite(values).all():
            return None
        return {name: values[places[feature]] for name, feature in wanted}

    def numpy(self, feature: str) -> NDArray[Any]:
        spec, field = self._request.fields[feature]
        valid = self._valid(spec)
        if feature not in self._request.numbers:
            return super().numpy(feature)
        values = np.ascontiguousarray(self._head[field])
        if valid is None:
            return values
        if pa.types.is_floating(spec.kind):
            return np.where(valid, values, values.dtype.type(np.nan))
        return np.ma.masked_array(values, mask=~valid) if not valid.all() else values

    def arrow(self, feature: str) -> pa.Array:
        spec, field = self._request.fields[feature]
        valid = self._valid(spec)
        if valid is None:
            valid = np.ones(len(self._head), bool)
        return fixed_array(self._head[field], valid, spec.kind)

    def items(self, feature: str) -> list[Any]:
        spec, field = self._request.fields[feature]
        if feature not in self._request.numbers:
            return self.arrow(feature).to_pylist()
        values: list[Any] = self._head[field].tolist()
        valid = self._valid(spec)
        if valid is None or valid.all():
            return values
        return [v if ok else None for v, ok in zip(values, valid.tolist(), strict=True)]

    def array(self, feature: str) -> NDArray[Any] | None:
        spec, field = self._request.fields[feature]
        if feature not in self._request.numbers or self._valid(spec) is not None:
            return None
        return np.ascontiguousarray(self._head[field])

    @property
    def is_complete(self) -> bool:
        return self._no_nulls and not self._stale and self._request.is_ageless

    def statuses(self, feature: str) -> StatusCodes:
        # Features without nulls of their own and of equal age share their statuses.
        spec, _ = self._request.fields[feature]
        bit = None if self._no_nulls else self._null_bit(spec.column)
        codes = self._statuses.get((spec.max_age, bit))
        if codes is None:
            codes = self._statuses[spec.max_age, bit] = self._codes(feature)
        return codes

    def _null_bit(self, column: str) -> int | None:
        """The column's place in the bitmap of nulls; None if no row has it null."""
        bit = self._request.null_bits[column]
        return bit if self._any_null[bit // 8] >> (bit % 8) & 1 else None

    def _codes(self, feature: str) -> StatusCodes:
        spec, _ = self._request.fields[feature]
        here = status.STALE if self._stale else status.PRESENT
        valid = self._valid(spec)
        codes = np.full(len(self._head), here, np.uint8)
        if valid is None:
            return codes
        codes[~valid] = status.NULL
        if spec.max_age is not None:
            old = (self._head["flags"] & HAS_NEWEST > 0) & ~self._fresh(spec.max_age)
            codes[old] = status.EXPIRED
        if self._there is not None:
            codes[~self._there] = status.MISSING
        return codes

    @cached_property
    def event_times(self) -> NDArray[np.int64]:
        times: NDArray[np.int64] = np.ascontiguousarray(self._head["event_time"])
        require(not len(times) or (times.min() >= MIN_TIME and times.max() <= MAX_TIME))
        return times

    @property
    def versions(self) -> list[tuple[int, int] | None]:
        return _versions(self._rows)


class PlainAnswer(ViewAnswer):
    """A few rows of numbers, none of them null: one unpack each, and no array at all.

    What is seldom asked of so few rows is left to a :class:`FixedAnswer`.
    """

    def __init__(
        self, request: ViewRequest, rows: Sequence[bytes | None], t: Times, stale: bool
    ) -> None:
        self._request, self._rows, self._t, self._stale = request, rows, t, stale

    @cached_property
    def _whole(self) -> FixedAnswer:
        return FixedAnswer(self._request, self._rows, self._t, self._stale)

    def arrow(self, feature: str) -> pa.Array:
        return self._whole.arrow(feature)

    def items(self, feature: str) -> list[Any]:
        return self._whole.items(feature)

    def columns(self, wanted: Sequence[tuple[str, DType]]) -> list[Column]:
        unpack = self._request.plain.unpack  # type: ignore[union-attr]
        rows = [unpack(row) for row in self._rows]  # type: ignore[arg-type]
        places = self._request.places
        return [Column(kind, items=[row[places[name]] for row in rows]) for name, kind in wanted]

    def numpy(self, feature: str) -> NDArray[Any]:
        return self._whole.numpy(feature)

    def array(self, feature: str) -> NDArray[Any] | None:
        return self._whole.array(feature)

    def whole_row(self, wanted: Wanted) -> tuple[int, tuple[Any, ...]] | None:
        if self._stale or len(self._rows) != 1:
            return None
        row: bytes = self._rows[0]  # type: ignore[assignment]
        values = self._request.plain.unpack(row)  # type: ignore[union-attr]
        return _event_time(row), tuple(wanted.of(self._request.places)(values))

    def fill(self, out: dict[str, Any], wanted: Wanted) -> None:
        unpack = self._request.plain.unpack  # type: ignore[union-attr]
        rows = [unpack(row) for row in self._rows]  # type: ignore[arg-type]
        pick = wanted.of(self._request.places)
        if len(rows) == 1:
            for name, value in zip(wanted.names, pick(rows[0]), strict=True):
                out[name] = [value]
            return
        columns = pick(list(zip(*rows, strict=True)))
        for name, column in zip(wanted.names, columns, strict=True):
            out[name] = list(column)

    @property
    def is_complete(self) -> bool:
        return not self._stale

    def statuses(self, feature: str) -> StatusCodes:
        return self._whole.statuses(feature)

    @property
    def event_times(self) -> NDArray[np.int64]:
        return np.array([_event_time(row) for row in self._rows], np.int64)  # type: ignore[arg-type]

    @property
    def versions(self) -> list[tuple[int, int] | None]:
        return _versions(self._rows)


def _event_time(row: bytes) -> int:
    """The event time in the head of a row."""
    time = int.from_bytes(row[18:26], "little", signed=True)
    require(MIN_TIME <= time <= MAX_TIME)
    return time


def _are_plain(request: ViewRequest, rows: Sequence[bytes | None]) -> bool:
    """Whether every row is there, whole, without nulls and without pending events."""
    width = request.layout.head.itemsize
    marks, marked, nulls, none = request.blank
    for row in rows:
        if row is None or len(row) != width or row[marks] != marked or row[nulls] != none:
            return False
    return True


class StateAnswer(ViewAnswer):
    """Any rows: unpacked into states and finalised at the time asked for."""

    def __init__(
        self,
        request: ViewRequest,
        rows: Sequence[bytes | None],
        unkeyed: Sequence[int],
        t: Times,
        stale: bool,
    ) -> None:
        self._request, self._rows, self._stale = request, rows, stale
        asked = values_at(request.layout, rows, t)
        self._t, self._newest, self._values = asked.t, asked.newest, asked.values
        self._missing = np.array([row is None for row in rows], bool)
        if unkeyed:
            null = np.zeros(len(rows), bool)
            null[list(unkeyed)] = True
            self._values = {n: null_where(v, null) for n, v in self._values.items()}

    def arrow(self, feature: str) -> pa.Array:
        return self._values[feature]

    def items(self, feature: str) -> list[Any]:
        return self._values[feature].to_pylist()

    @property
    def is_complete(self) -> bool:
        if self._stale or self._missing.any():
            return False
        return not any(column.null_count for column in self._values.values())

    def statuses(self, feature: str) -> StatusCodes:
        here = status.STALE if self._stale else status.PRESENT
        valid = valid_of(self._values[feature])
        codes = np.where(valid, here, status.NULL).astype(np.uint8)
        ages = {f.name: f.max_age for f in self._request.plan.latest}
        max_age = ages.get(feature)
        if max_age is not None:
            newest = self._newest
            old = newest.there & (newest.event_time < self._t - max_age)
            codes[old & ~valid] = status.EXPIRED
        codes[self._missing] = status.MISSING
        return codes

    @property
    def event_times(self) -> NDArray[np.int64]:
        return self._newest.event_time

    @property
    def versions(self) -> list[tuple[int, int] | None]:
        return _versions(self._rows)


def _versions(rows: Sequence[bytes | None]) -> list[tuple[int, int] | None]:
    known_times(rows)  # refuses what is no time
    return [None if row is None else version_of(row) for row in rows]
