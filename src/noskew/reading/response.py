"""OnlineResponse: the answer to a read in this process, in the form the caller likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.arrays import nan_for_null, to_numpy
from noskew.errors import SchemaMismatchError
from noskew.kernel.conform import conform_column
from noskew.kernel.on_demand import Column
from noskew.kernel.values import valid_of
from noskew.reading.request_plan import RequestPlan
from noskew.reading.view_answer import ViewAnswer
from noskew.types import DType
from noskew.wire import status
from noskew.wire.online_features import OnlineFeatures


class OnlineResponse(OnlineFeatures):
    """The answer to a read in this process; columns are made when they are asked for.

    ``keys``: the keys in the online store of all rows, view after view; None for a null key.
    """

    def __init__(
        self,
        plan: RequestPlan,
        columns: Mapping[str, Sequence[Any]],
        n: int,
        answers: Mapping[str, ViewAnswer],
        t: int,
        *,
        keys: Sequence[bytes | None],
    ) -> None:
        self._plan, self._given, self._n, self.answers = plan, columns, n, answers
        self.t, self.keys = t, keys

    def __len__(self) -> int:
        return self._n

    @property
    def service_name(self) -> str:
        return self._plan.service.name

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self._plan.names

    @property
    def given(self) -> Mapping[str, Sequence[Any]]:
        return self._given

    @cached_property
    def requested(self) -> pa.Table:
        """The request fields, in the types that the caller's values have."""
        fields = self._plan.request_fields
        columns = {n: _request_array(self._given[n], fields[n]) for n in fields}
        return pa.table(columns or {"_": pa.nulls(self._n)})

    @cached_property
    def _results(self) -> dict[str, dict[str, Column]]:
        """What on-demand functions returned, masked or not."""
        return self._plan.functions(self._stored, self._asked, self._n)

    @cached_property
    def outputs(self) -> dict[str, dict[str, Column]]:
        """The outputs of on-demand functions, by function and output name."""
        masked = self._plan.masked
        if not masked:
            return self._results
        return {
            function: {
                name: self._null(column) if name in masked.get(function, ()) else column
                for name, column in columns.items()
            }
            for function, columns in self._results.items()
        }

    @cached_property
    def computed(self) -> dict[str, dict[str, pa.Array]]:
        """What on-demand functions returned, in Arrow, masked or not: for the log of answers."""
        return {f: {n: c.arrow() for n, c in cs.items()} for f, cs in self._results.items()}

    def _null(self, column: Column) -> Column:
        return Column(column.kind, arrow=pa.nulls(self._n, column.kind.to_arrow()))

    def _stored(self, view: str, wanted: Sequence[tuple[str, DType]]) -> list[Column]:
        return self.answers[view].columns(wanted)

    def _asked(self, name: str, kind: DType) -> Column:
        """A request field, of the type that is declared."""
        values = self._given[name]
        column = Column.of_items(values, kind)
        if column is None:  # which Arrow converts, or refuses
            what = f"request fields of {self.service_name!r}, column {name!r}"
            given = pa.chunked_array([_request_array(values, kind)])
            column = Column(kind, arrow=conform_column(given, kind, what).combine_chunks())
        return column

    def to_dict(self) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {name: list(values) for name, values in self._given.items()}
        for view, wanted in self._plan.stored:
            self.answers[view].fill(out, wanted)
        if self._plan.computes:
            for function, columns in self.outputs.items():
                prefix = f"{function}__" if self._plan.service.full_names else ""
                out.update({prefix + n: column.items() for n, column in columns.items()})
        if self._plan.in_order:
            return out
        return {name: out[name] for name in (*self._given, *self._plan.names)}

    def to_arrow(self) -> pa.Table:
        columns = {}
        for c in self._plan.service.columns:
            if c.is_stored:
                columns[c.name] = self.answers[c.origin.name].arrow(c.feature)
            else:
                columns[c.name] = self.outputs[c.origin.name][c.feature].arrow()
        return pa.table(columns)

    def to_numpy(self) -> dict[str, NDArray[Any]]:
        out: dict[str, NDArray[Any]] = {}
        for c in self._plan.service.columns:
            if c.is_stored:
                values = self.answers[c.origin.name].numpy(c.feature)
            else:
                values = to_numpy(self.outputs[c.origin.name][c.feature].arrow())
            out[c.name] = nan_for_null(values)
        return out

    def status_codes(self) -> dict[str, NDArray[np.uint8]]:
        out = {}
        for c in self._plan.service.columns:
            if c.is_stored:
                out[c.name] = self.answers[c.origin.name].statuses(c.feature)
            else:
                out[c.name] = self._output_codes(c.origin.name, c.feature)
        return out

    def _output_codes(self, function: str, name: str) -> NDArray[np.uint8]:
        if name in self._plan.masked.get(function, ()):
            return np.full(self._n, status.MASKED, np.uint8)
        valid = valid_of(self.outputs[function][name].arrow())
        return np.where(valid, status.PRESENT, status.NULL).astype(np.uint8)

    def event_micros(self) -> dict[str, NDArray[np.int64]]:
        return {name: a.event_times for name, a in self.answers.items()}

    def versions(self) -> dict[str, list[tuple[int, int] | None]]:
        return {name: a.versions for name, a in self.answers.items()}


def _request_array(values: Sequence[Any], kind: DType) -> pa.Array:
    """Request fields as Arrow; empty and all-null columns are left to be typed later."""
    try:
        column = pa.array(values)
        if pa.types.is_list(column.type) and pa.types.is_null(column.type.value_type):
            return pa.array(values, kind.to_arrow())  # lists without an item have no type
        return column
    # Arrow raises Python's own for integers of more than 64 bits and for lone surrogates.
    except (ValueError, TypeError, OverflowError, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0][:200]
        raise SchemaMismatchError(f"request field: expected {kind}: {reason}") from error
