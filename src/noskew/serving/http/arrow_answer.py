"""Writes answers as the Arrow IPC streams that :mod:`noskew.wire.arrow_answer` describes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.reading.request_plan import RequestPlan
from noskew.reading.response import OnlineResponse
from noskew.wire.arrow_answer import TIME, answer_schema


class ArrowAnswer:
    """Writes answers of one service; its schema is made once."""

    def __init__(self, plan: RequestPlan) -> None:
        self._schema = answer_schema(
            plan.service.name,
            {c.name: c.dtype.to_arrow() for c in plan.service.columns},
            [*plan.keys, *plan.request_fields],
            [v.view.name for v in plan.views],
        )

    def encode(self, response: OnlineResponse) -> bytes:
        """The body of the answer."""
        table = response.to_arrow()
        columns = [table.column(i).combine_chunks() for i in range(table.num_columns)]
        columns += [pa.array(codes) for codes in response.status_codes().values()]
        for answer in response.answers.values():
            columns += [_times(answer.event_times), *_versions(answer.versions)]
        schema = self._schema.with_metadata({**self._schema.metadata, "noskew.t": str(response.t)})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        return sink.getvalue().to_pybytes()


def _times(micros: NDArray[np.int64]) -> pa.Array:
    unknown = micros == 0
    return pa.array(micros, mask=unknown if unknown.any() else None).view(TIME)


def _versions(versions: list[tuple[int, int] | None]) -> list[pa.Array]:
    known = pa.array([None if v is None else v[0] for v in versions], pa.int64()).view(TIME)
    return [known, pa.array([None if v is None else v[1] for v in versions], pa.uint64())]
