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
from noskew.kernel.arrays import Mask
from noskew.kernel.history import null_where
from noskew.kernel.on_demand import Column
from noskew.kernel.plan import LatestFeature
from noskew.kernel.rows.codec import known_times, version_of
from noskew.kernel.rows.head import FixedRows, PlainRows, event_time_of, is_number
from noskew.kernel.rows.values_at import values_at
from noskew.kernel.values import valid_of
from noskew.reading.request_plan import ViewRequest, Wanted
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
    if 0 < len(rows) <= _FEW:
        plain = request.plain
        if plain is not None and plain.holds(rows):
            return PlainAnswer(request, plain, rows, t, stale)
    if request.layout.is_fixed:
        fixed = FixedAnswer(request, rows, t, stale)
        if not fixed.has_pending:
            return fixed
    return StateAnswer(request, rows, unkeyed, t, stale)


class FixedAnswer(ViewAnswer):
    """Rows of latest values, all of fixed width: read in place, a column at a time."""

    def __init__(
        self, request: ViewRequest, rows: Sequence[bytes | None], t: Times, stale: bool
    ) -> None:
        self._request, self._rows, self._t, self._stale = request, rows, t, stale
        self._fixed = FixedRows(request.layout, rows)
        self.has_pending = self._fixed.has_pending
        self._statuses: dict[tuple[int | None, str | None], StatusCodes] = {}
        self._freshness: dict[int, Mask] = {}

    def _valid(self, feature: LatestFeature) -> Mask | None:
        """Which rows have a value; None: all."""
        if feature.max_age is None:
            return self._fixed.valid(feature.column) if self._fixed.has_nulls else None
        return self._fixed.valid(feature.column) & self._fresh(feature.max_age)

    def _fresh(self, max_age: int) -> Mask:
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
        spec = self._request.fixed[feature]
        valid = self._valid(spec)
        values = np.ascontiguousarray(self._fixed.items(spec.column))
        if valid is None or valid.all():
            return Column(kind, values)
        return Column(kind, np.where(valid, values, values.dtype.type(0)), valid)

    def finite_arrays(self, wanted: Wanted) -> dict[str, NDArray[Any]] | None:
        # An age makes nulls of which the rows know nothing.
        values = self._fixed.doubles() if self._request.is_ageless else None
        if values is None or not np.isfinite(values).all():
            return None
        places = self._request.places
        return {name: values[places[feature]] for name, feature in wanted}

    def numpy(self, feature: str) -> NDArray[Any]:
        spec, fixed = self._request.fixed[feature], self._fixed
        if feature not in self._request.numbers:
            return super().numpy(feature)
        values = np.ascontiguousarray(fixed.items(spec.column))
        if spec.max_age is None and not fixed.has_nulls:
            return values
        valid = self._valid(spec)
        assert valid is not None  # else all are, which was asked above without a call
        if pa.types.is_floating(spec.kind):
            return np.where(valid, values, values.dtype.type(np.nan))
        return np.ma.masked_array(values, mask=~valid) if not valid.all() else values

    def arrow(self, feature: str) -> pa.Array:
        spec = self._request.fixed[feature]
        valid = self._valid(spec)
        if valid is None:
            valid = np.ones(len(self._fixed), bool)
        return self._fixed.arrow(spec.column, valid)

    def items(self, feature: str) -> list[Any]:
        if feature not in self._request.numbers:
            return self.arrow(feature).to_pylist()
        spec = self._request.fixed[feature]
        values: list[Any] = self._fixed.items(spec.column).tolist()
        valid = self._valid(spec)
        if valid is None or valid.all():
            return values
        return [v if ok else None for v, ok in zip(values, valid.tolist(), strict=True)]

    def array(self, feature: str) -> NDArray[Any] | None:
        spec = self._request.fixed[feature]
        if feature not in self._request.numbers or self._valid(spec) is not None:
            return None
        return np.ascontiguousarray(self._fixed.items(spec.column))

    @property
    def is_complete(self) -> bool:
        return not self._fixed.has_nulls and not self._stale and self._request.is_ageless

    def statuses(self, feature: str) -> StatusCodes:
        # Features without nulls of their own and of equal age share their statuses.
        spec = self._request.fixed[feature]
        column = spec.column if self._fixed.is_null_somewhere(spec.column) else None
        codes = self._statuses.get((spec.max_age, column))
        if codes is None:
            codes = self._statuses[spec.max_age, column] = self._codes(spec)
        return codes

    def _codes(self, feature: LatestFeature) -> StatusCodes:
        here = status.STALE if self._stale else status.PRESENT
        valid = self._valid(feature)
        codes = np.full(len(self._fixed), here, np.uint8)
        if valid is None:
            return codes
        codes[~valid] = status.NULL
        if feature.max_age is not None:
            codes[self._fixed.has_newest & ~self._fresh(feature.max_age)] = status.EXPIRED
        if self._fixed.present is not None:
            codes[~self._fixed.present] = status.MISSING
        return codes

    @property
    def event_times(self) -> NDArray[np.int64]:
        return self._fixed.event_times

    @property
    def versions(self) -> list[tuple[int, int] | None]:
        return _versions(self._rows)


class PlainAnswer(ViewAnswer):
    """A few rows of numbers, none of them null: one unpack each, and no array at all.

    What is seldom asked of so few rows is left to a :class:`FixedAnswer`.
    """

    _rows: Sequence[bytes]

    def __init__(
        self,
        request: ViewRequest,
        plain: PlainRows,
        rows: Sequence[bytes],
        t: Times,
        stale: bool,
    ) -> None:
        self._request, self._unpack, self._rows = request, plain.unpack, rows
        self._t, self._stale = t, stale

    @cached_property
    def _whole(self) -> FixedAnswer:
        return FixedAnswer(self._request, self._rows, self._t, self._stale)

    def arrow(self, feature: str) -> pa.Array:
        return self._whole.arrow(feature)

    def items(self, feature: str) -> list[Any]:
        return self._whole.items(feature)

    def columns(self, wanted: Sequence[tuple[str, DType]]) -> list[Column]:
        rows = [self._unpack(row) for row in self._rows]
        places = self._request.places
        return [Column(kind, items=[row[places[name]] for row in rows]) for name, kind in wanted]

    def numpy(self, feature: str) -> NDArray[Any]:
        return self._whole.numpy(feature)

    def array(self, feature: str) -> NDArray[Any] | None:
        return self._whole.array(feature)

    def whole_row(self, wanted: Wanted) -> tuple[int, tuple[Any, ...]] | None:
        if self._stale or len(self._rows) != 1:
            return None
        row = self._rows[0]
        return event_time_of(row), tuple(wanted.of(self._request.places)(self._unpack(row)))

    def fill(self, out: dict[str, Any], wanted: Wanted) -> None:
        rows = [self._unpack(row) for row in self._rows]
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
        return np.array([event_time_of(row) for row in self._rows], np.int64)

    @property
    def versions(self) -> list[tuple[int, int] | None]:
        return _versions(self._rows)


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
