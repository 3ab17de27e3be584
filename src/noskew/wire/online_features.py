"""OnlineFeatures: what every answer to an online read can do, wherever it was computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.arrays import nan_for_null, to_numpy
from noskew.clock import to_datetime
from noskew.pandas_frames import to_pandas
from noskew.wire import status


class OnlineFeatures(ABC):
    """Features of a service for the rows of a request, in their order, duplicates included.

    Attributes
    ----------
    t
        The time the answer is for, microseconds since the epoch.
    """

    t: int

    @abstractmethod
    def __len__(self) -> int:
        """How many rows were asked for."""

    @property
    @abstractmethod
    def service_name(self) -> str:
        """The feature service that was read."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """The features, in the service's order."""

    @property
    @abstractmethod
    def given(self) -> Mapping[str, Sequence[Any]]:
        """The join keys and request fields as the caller gave them."""

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """The features as an Arrow table, one column each."""

    @abstractmethod
    def status_codes(self) -> dict[str, NDArray[np.uint8]]:
        """The statuses as codes of :mod:`noskew.wire.status`; uint8, shape (rows,)."""

    @abstractmethod
    def event_micros(self) -> dict[str, NDArray[np.int64]]:
        """As :meth:`event_times`, in int64 µs since the epoch; 0 where there is none."""

    @abstractmethod
    def versions(self) -> dict[str, list[tuple[int, int] | None]]:
        """For each view and row the version it was read at: (known time, number)."""

    def to_dict(self) -> dict[str, list[Any]]:
        """The join keys and request fields as given, and each feature's values; null is None."""
        table = self.to_arrow()
        out: dict[str, list[Any]] = {name: list(values) for name, values in self.given.items()}
        return out | {name: table.column(name).to_pylist() for name in self.feature_names}

    def to_numpy(self) -> dict[str, NDArray[Any]]:
        """The features as NumPy arrays.

        Nulls are NaN in float columns, masked (``numpy.ma``) in integer and bool columns, and
        None in the object arrays of other types.
        """
        table = self.to_arrow()
        columns = {name: table.column(name).combine_chunks() for name in table.column_names}
        return {name: nan_for_null(to_numpy(c)) for name, c in columns.items()}

    def to_pandas(self, *, arrow_backed: bool = False) -> Any:
        """The features as a pandas DataFrame (needs the pandas extra).

        Integers and bools beside nulls are of pandas' nullable types. ``arrow_backed``: every
        column is an Arrow array.
        """
        return to_pandas(self.to_arrow(), arrow_backed=arrow_backed)

    def statuses(self) -> dict[str, list[str]]:
        """For each feature and row: PRESENT, NULL, MISSING, EXPIRED, STALE or MASKED."""
        return {
            name: [status.NAMES[c] for c in codes.tolist()]
            for name, codes in self.status_codes().items()
        }

    def event_times(self) -> dict[str, list[Any]]:
        """For each view and row the event time of the newest event behind the answer.

        It is the greatest event time up to the time asked for of all events that the view's
        row has folded, whether or not a window still holds that event; None where there is
        none, as for an entity never seen.
        """
        return {
            name: [to_datetime(x) if x else None for x in micros.tolist()]
            for name, micros in self.event_micros().items()
        }

    def __repr__(self) -> str:
        size = f"{len(self)} rows × {len(self.feature_names)} features"
        return f"<{type(self).__name__} {self.service_name}: {size}>"
