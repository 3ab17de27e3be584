"""Masked answers: a view's part of an answer in which some features are not given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.kernel.on_demand import Column
from noskew.reading.request_plan import Wanted
from noskew.reading.view_answer import StatusCodes, ViewAnswer
from noskew.types import DType
from noskew.wire import status


class MaskedAnswer(ViewAnswer):
    """As the answer that it is made of, but masked features are null and their status is MASKED.

    Rows, versions and event times are those of the answer, and so are the columns that on-demand
    functions take: an output that gives a feature away is masked by its own name.

    Parameters
    ----------
    answer
        The whole answer.
    masked
        The types of the features that are not given.
    """

    def __init__(self, answer: ViewAnswer, masked: Mapping[str, DType]) -> None:
        self._answer, self._masked, self._rows = answer, masked, answer.rows

    def arrow(self, feature: str) -> pa.Array:
        kind = self._masked.get(feature)
        if kind is None:
            return self._answer.arrow(feature)
        return pa.nulls(len(self._rows), kind.to_arrow())

    def items(self, feature: str) -> list[Any]:
        if feature in self._masked:
            return [None] * len(self._rows)
        return self._answer.items(feature)

    def columns(self, wanted: Sequence[tuple[str, DType]]) -> list[Column]:
        return self._answer.columns(wanted)

    def numpy(self, feature: str) -> NDArray[Any]:
        return super().numpy(feature) if feature in self._masked else self._answer.numpy(feature)

    def array(self, feature: str) -> NDArray[Any] | None:
        return None if feature in self._masked else self._answer.array(feature)

    def finite_arrays(self, wanted: Wanted) -> dict[str, NDArray[Any]] | None:
        if any(feature in self._masked for _, feature in wanted):
            return None
        return self._answer.finite_arrays(wanted)

    @property
    def is_complete(self) -> bool:
        return False

    def statuses(self, feature: str) -> StatusCodes:
        if feature in self._masked:
            return np.full(len(self._rows), status.MASKED, np.uint8)
        return self._answer.statuses(feature)

    @property
    def event_times(self) -> NDArray[np.int64]:
        return self._answer.event_times

    @property
    def versions(self) -> list[tuple[int, int] | None]:
        return self._answer.versions
