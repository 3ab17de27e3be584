"""Answers as an Arrow IPC stream: the exact bits of every value, and how to read them back.

One record batch. Its columns are, in this order: the features (their names and types); for each
of them ``{feature}__status`` (uint8, a code); for each view ``{view}__event_time`` and
``{view}__known_time`` (timestamps, null where there is no row) and ``{view}__number`` (uint64; with
the known time it is the version). The metadata of the schema says

==================  ====================================================================
noskew.service      the service
noskew.t            the time of the answer, microseconds since the epoch
noskew.features     how many of the columns are features
noskew.inputs       the join keys and request fields, as a JSON list
noskew.views        the views, as a JSON list
noskew.statuses     the names of the statuses by code, as a JSON list
==================  ====================================================================

Read the columns by place: a feature may be named as another one's status column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from noskew.errors import StoreError
from noskew.wire import status
from noskew.wire.online_features import OnlineFeatures

TIME = pa.timestamp("us", "UTC")
#: What the answer has of each view: the end of the columns' names, and their types.
OF_A_VIEW = (("event_time", TIME), ("known_time", TIME), ("number", pa.uint64()))


def answer_schema(
    service: str, features: Mapping[str, pa.DataType], inputs: Sequence[str], views: Sequence[str]
) -> pa.Schema:
    """The schema of a service's answers, with all metadata but the time of the answer."""
    return pa.schema(
        [
            *[pa.field(name, kind) for name, kind in features.items()],
            *[pa.field(f"{name}__status", pa.uint8()) for name in features],
            *[pa.field(f"{view}__{part}", kind) for view in views for part, kind in OF_A_VIEW],
        ],
        {
            "noskew.service": service,
            "noskew.features": str(len(features)),
            "noskew.inputs": orjson.dumps(list(inputs)).decode(),
            "noskew.views": orjson.dumps(list(views)).decode(),
            "noskew.statuses": orjson.dumps(status.NAMES).decode(),
        },
    )


class RemoteResponse(OnlineFeatures):
    """An answer that came over HTTP; it can do what an answer in process can.

    ``given``: the columns that were asked for. Raises StoreError for bytes of another layout.
    """

    def __init__(self, body: bytes, given: Mapping[str, Sequence[Any]]) -> None:
        try:
            with pa.ipc.open_stream(body) as reader:
                self._table = reader.read_all().combine_chunks()
            metadata = {k.decode(): v.decode() for k, v in self._table.schema.metadata.items()}
            self._service, self.t = metadata["noskew.service"], int(metadata["noskew.t"])
            self._features = int(metadata["noskew.features"])
            self._views: list[str] = orjson.loads(metadata["noskew.views"])
            inputs: list[str] = orjson.loads(metadata["noskew.inputs"])
            self._names: list[str] = orjson.loads(metadata["noskew.statuses"])
        except (
            pa.ArrowInvalid,
            pa.ArrowException,
            AttributeError,
            LookupError,
            ValueError,
        ) as error:
            raise StoreError(
                f"the server's answer is not one of noskew's: {error}; is the address right, and "
                f"is its version this one?"
            ) from error
        # No rows may have been given without names; the answer has them all the same.
        self._given = given or {name: [] for name in inputs}

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def service_name(self) -> str:
        return self._service

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(self._table.column_names[: self._features])

    @property
    def given(self) -> Mapping[str, Sequence[Any]]:
        return self._given

    @cached_property
    def _values(self) -> pa.Table:
        names = self.feature_names
        columns = [self._column(i) for i in range(self._features)]
        return pa.Table.from_arrays(columns, names=list(names))

    def to_arrow(self) -> pa.Table:
        return self._values

    def status_codes(self) -> dict[str, NDArray[np.uint8]]:
        places = [status.NAMES.index(name) for name in self._names]
        known = np.array(places, np.uint8)
        return {
            name: known[self._column(self._features + i).to_numpy(zero_copy_only=False)]
            for i, name in enumerate(self.feature_names)
        }

    def event_micros(self) -> dict[str, NDArray[np.int64]]:
        return {view: _micros(self._of_view(i, 0)) for i, view in enumerate(self._views)}

    def versions(self) -> dict[str, list[tuple[int, int] | None]]:
        return {
            view: [
                None if n is None else (k, n)
                for k, n in zip(
                    self._of_view(i, 1).cast(pa.int64()).to_pylist(),
                    self._of_view(i, 2).to_pylist(),
                    strict=True,
                )
            ]
            for i, view in enumerate(self._views)
        }

    def _column(self, i: int) -> pa.Array:
        return self._table.column(i).combine_chunks()

    def _of_view(self, view: int, part: int) -> pa.Array:
        return self._column(2 * self._features + len(OF_A_VIEW) * view + part)


def _micros(times: pa.Array) -> NDArray[np.int64]:
    known: NDArray[np.int64] = times.view(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return known
