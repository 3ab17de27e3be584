"""OnlineResponse: the answer to a read, in request order, in the form the caller likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.clock import to_datetime
from noskew.definitions.view import FeatureView
from noskew.kernel import on_demand
from noskew.kernel.values import valid_of
from noskew.serving import status
from noskew.serving.answer import ViewAnswer
from noskew.serving.request import RequestPlan


class OnlineResponse:
    """Features of a service for the rows of a request, in their order, duplicates included.

    Attributes
    ----------
    t
        The time the answer is for, microseconds since the epoch.
    """

    def __init__(
        self,
        plan: RequestPlan,
        columns: Mapping[str, Sequence[Any]],
        n: int,
        answers: Mapping[str, ViewAnswer],
        t: int,
    ) -> None:
        self._plan, self._given, self._n, self._answers = plan, columns, n, answers
        self.t = t

    def __len__(self) -> int:
        return self._n

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features, in the service's order."""
        return self._plan.names

    @cached_property
    def _computed(self) -> dict[str, dict[str, pa.Array]]:
        service = self._plan.service
        if not service.on_demand:
            return {}
        stored = {s.view.name: {} for f in service.on_demand for s in f.inputs}  # type: dict[str, dict[str, pa.Array]]
        for function in service.on_demand:
            for s in function.inputs:
                for name in s.names:
                    stored[s.view.name][name] = self._answers[s.view.name].arrow(name)
        fields = self._plan.request_fields
        rows = pa.table(
            {n: _request_array(self._given[n], fields[n].kind) for n in fields}
            or {"_": pa.nulls(self._n)}
        )
        return on_demand.compute(service, stored, rows)

    def to_dict(self) -> dict[str, list[Any]]:
        """The join keys and request fields as given, and each feature's values; null is None."""
        out: dict[str, list[Any]] = {name: list(values) for name, values in self._given.items()}
        for c in self._plan.service.columns:
            if isinstance(c.origin, FeatureView):
                out[c.name] = self._answers[c.origin.name].items(c.feature)
            else:
                out[c.name] = self._computed[c.origin.name][c.feature].to_pylist()
        return out

    def to_arrow(self) -> pa.Table:
        """The features as an Arrow table, one column each."""
        columns = {}
        for c in self._plan.service.columns:
            if isinstance(c.origin, FeatureView):
                columns[c.name] = self._answers[c.origin.name].arrow(c.feature)
            else:
                columns[c.name] = self._computed[c.origin.name][c.feature]
        return pa.table(columns)

    def to_numpy(self) -> dict[str, NDArray[Any]]:
        """The features as NumPy arrays.

        Nulls are NaN in float columns, masked (``numpy.ma``) in integer and bool columns, and
        None in the object arrays of other types.
        """
        table = self.to_arrow()
        return {name: _to_numpy(table.column(name).chunk(0)) for name in table.column_names}

    def to_pandas(self) -> Any:
        """The features as a pandas DataFrame (needs the pandas extra)."""
        return self.to_arrow().to_pandas()

    def statuses(self) -> dict[str, list[str]]:
        """For each feature and row: PRESENT, NULL, MISSING, EXPIRED, STALE or MASKED."""
        return {
            name: [status.NAMES[c] for c in codes.tolist()]
            for name, codes in self.status_codes().items()
        }

    def status_codes(self) -> dict[str, NDArray[np.uint8]]:
        """The statuses as codes of :mod:`noskew.serving.status`; uint8, shape (rows,)."""
        out = {}
        for c in self._plan.service.columns:
            if isinstance(c.origin, FeatureView):
                out[c.name] = self._answers[c.origin.name].statuses(c.feature)
            else:
                valid = valid_of(self._computed[c.origin.name][c.feature])
                out[c.name] = np.where(valid, status.PRESENT, status.NULL).astype(np.uint8)
        return out

    def event_times(self) -> dict[str, list[Any]]:
        """For each view the event time of each row's newest event; None where unknown."""
        return {
            name: [to_datetime(x) if x else None for x in a.event_times.tolist()]
            for name, a in self._answers.items()
        }

    def versions(self) -> dict[str, list[tuple[int, int] | None]]:
        """For each view and row the version it was read at: (known time, number)."""
        return {name: a.versions for name, a in self._answers.items()}

    def __repr__(self) -> str:
        size = f"{self._n} rows × {len(self._plan.names)} features"
        return f"<OnlineResponse {self._plan.service.name}: {size}>"


def _request_array(values: Sequence[Any], kind: str) -> pa.Array:
    """Request fields as Arrow; empty and all-null columns are left to be typed later."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        from noskew.errors import SchemaMismatchError

        raise SchemaMismatchError(f"request field: expected {kind}: {error}") from error


def _to_numpy(column: pa.Array) -> NDArray[Any]:
    kind = column.type
    if pa.types.is_floating(kind):
        return column.to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(kind) and not column.null_count:
        flat = _to_numpy(column.flatten())
        return flat.reshape(len(column), kind.list_size)
    return on_demand.to_numpy(column)
