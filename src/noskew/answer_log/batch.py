"""Rows of answers that were served, turned into rows of their offline table, many at a time.

A record holds what its answer was made of: rows of the online store, time and request fields. The
values are finalised from them once more, in bulk, by the very code that made the answer; one by
one they would cost the requests what all of them together cost here. Outputs of on-demand
functions are those of the answer itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.answer_log.coverage import RowCoverage
from noskew.answer_log.sampling import Picked
from noskew.answer_log.table import ENTITY, SERIAL, SERVER, ServedTable
from noskew.kernel.conform import conform
from noskew.kernel.keys import part_converter
from noskew.kernel.rows.codec import VERSION_BYTES
from noskew.reading.merged_rows import MergedRow
from noskew.reading.request_plan import RequestPlan, ViewRequest
from noskew.reading.response import OnlineResponse
from noskew.reading.view_answer import ViewAnswer, answer
from noskew.stores.offline.base import BUCKET, EVENT_TIME, KNOWN_TIME
from noskew.types import DType

_TIME = pa.timestamp("us", "UTC")
#: What a row costs beside the bytes that it refers to, roughly.
_ROW_BYTES = 1_024
_Computed = Mapping[str, Mapping[str, pa.Array]]


#: A record as it waits: a plain tuple, of plain tuples where nothing is computed on demand. There
#: are many, and the collector of garbage does not look at such tuples again and again.
Entry = tuple[Any, ...]


class ServedRows(NamedTuple):
    """Rows of one answer.

    Attributes
    ----------
    t, start
        The time that the answer is for; when the request came, by the performance counter.
    at, entities
        Which rows of the answer, and the hashes of their entities.
    keys
        Their join keys, in the service's order, as the caller gave them.
    rows
        Their rows of the online store, for each view.
    requested, computed
        Request fields and outputs of on-demand functions of all rows of the answer; None of a
        service without.
    bytes
        About how much memory it keeps.
    """

    t: int
    start: float
    at: Sequence[int]
    entities: Sequence[int]
    keys: Sequence[Sequence[Any]]
    rows: Sequence[Sequence[bytes | None]]
    requested: pa.Table | None
    computed: _Computed | None
    bytes: int


def entry_of(plan: RequestPlan, response: OnlineResponse, picked: Picked, start: float) -> Entry:
    """The entry for the rows of an answer that were picked."""
    at, hashes = map(tuple, picked)
    given = response.given
    keys = tuple([tuple([given[name][i] for i in at]) for name in plan.keys])
    size = len(at) * _ROW_BYTES
    rows = []
    for answer_ in response.answers.values():
        all_rows = answer_.rows
        mine = tuple([all_rows[i] for i in at])
        for row in mine:
            if row is not None:
                size += len(row)
        rows.append(mine)
    requested, computed = None, None
    if plan.computes:
        requested, computed = response.requested, response.computed
        size += requested.nbytes
        size += sum(c.nbytes for outputs in computed.values() for c in outputs.values())
    return (response.t, start, at, hashes, keys, tuple(rows), requested, computed, size)


class Batch:
    """Records of one service, in columns.

    ``coverage`` gives what was known of the online store at a time; ``server`` and ``serial``: who
    served the rows, and the number of the first; ``written``: the time of writing (µs).
    """

    def __init__(
        self,
        table: ServedTable,
        plan: RequestPlan,
        records: Sequence[ServedRows],
        *,
        coverage: Callable[[float], RowCoverage],
        server: str,
        serial: int,
        written: int,
    ) -> None:
        self._table, self._plan, self._records = table, plan, records
        self._coverage, self._server, self._serial = coverage, server, serial
        self._written = written
        self._sizes = [len(r.at) for r in records]
        self._n = sum(self._sizes)

    def __len__(self) -> int:
        return self._n

    def to_arrow(self) -> pa.RecordBatch:
        """The rows as the table takes them.

        Raises CorruptDataError for rows that can be answered but not read throughout.
        """
        schema = self._table.spec.schema
        columns = {**self._places(), **self._keys(), **self._requested(), **self._features()}
        for i, names in enumerate(self._table.views):
            columns |= zip(names, self._of_view(i), strict=True)
        clocks = {
            EVENT_TIME: pa.array(self._t).view(_TIME),
            KNOWN_TIME: pa.array(np.full(self._n, self._written)).view(_TIME),
            BUCKET: pa.array(np.zeros(self._n, np.int32)),
        }
        named = {name: columns[name] for name in schema.names} | clocks
        return pa.RecordBatch.from_arrays(list(named.values()), names=list(named))

    def _places(self) -> dict[str, pa.Array]:
        hashes = list(chain.from_iterable(r.entities for r in self._records))
        return {
            ENTITY: pa.array(hashes, pa.int64()),
            SERVER: pa.array([self._server] * self._n, pa.string()),
            SERIAL: pa.array(np.arange(self._serial, self._serial + self._n)),
        }

    def _keys(self) -> dict[str, pa.Array]:
        return {
            column: key_array(self._given(name), self._plan.keys[name], name)
            for name, column in self._table.keys.items()
        }

    def _given(self, name: str) -> list[Any]:
        place = list(self._plan.keys).index(name)
        return list(chain.from_iterable(r.keys[place] for r in self._records))

    def _requested(self) -> dict[str, pa.Array]:
        if not self._table.request:
            return {}
        service = self._table.service
        parts = [
            conform(r.requested.take(pa.array(r.at)), service.request, "request fields")
            for r in self._records
            if r.requested is not None
        ]
        whole = pa.concat_tables(parts)
        return {
            column: whole.column(name).combine_chunks()
            for name, column in self._table.request.items()
        }

    def _features(self) -> dict[str, pa.Array]:
        answers = {v.view.name: a for v, a in zip(self._plan.views, self._answers, strict=True)}
        columns = {}
        for c in self._table.service.columns:
            if c.is_stored:
                columns[self._table.features[c.name]] = answers[c.origin.name].arrow(c.feature)
            else:
                columns[self._table.features[c.name]] = self._output(c.origin.name, c.feature)
        return columns

    def _output(self, function: str, name: str) -> pa.Array:
        outputs = [r.computed[function][name] for r in self._records if r.computed is not None]
        rows = zip(outputs, self._records, strict=True)
        return pa.concat_arrays([column.take(pa.array(r.at)) for column, r in rows])

    @cached_property
    def _t(self) -> NDArray[np.int64]:
        return np.repeat(np.array([r.t for r in self._records], np.int64), self._sizes)

    @cached_property
    def _answers(self) -> list[ViewAnswer]:
        return [self._answer(i, view) for i, view in enumerate(self._plan.views)]

    def _answer(self, i: int, view: ViewRequest) -> ViewAnswer:
        rows = list(chain.from_iterable(r.rows[i] for r in self._records))
        parts = [self._given(name) for name in view.keys]
        unkeyed = [at for at, key in enumerate(zip(*parts, strict=True)) if None in key]
        return answer(view, rows, unkeyed, self._t, False)

    def _of_view(self, i: int) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Versions, event times and coverage of a view."""
        answer_, prefix = self._answers[i], self._plan.views[i].prefix
        times = answer_.event_times
        covered = [self._coverage(r.start).get(prefix) for r in self._records]
        each = np.repeat(np.arange(len(covered)), self._sizes)
        return (
            pa.array([_version(row) for row in answer_.rows], pa.binary()),
            pa.array(times, mask=times == 0).view(_TIME),
            pa.array(covered, pa.string()).take(pa.array(each)),
        )


def _version(row: bytes | None) -> bytes | None:
    if isinstance(row, MergedRow):
        return row.parts
    return None if row is None else row[:VERSION_BYTES]


def key_array(values: Sequence[Any], kind: DType, name: str) -> pa.Array:
    """Join keys as callers give them, in the type of the key."""
    convert = part_converter(kind, name)
    parts = [None if v is None else convert(v) for v in values]
    if kind.kind == "date":
        return pa.array(parts, pa.int32()).view(pa.date32())
    if kind.kind == "timestamp":
        return pa.array(parts, pa.int64()).view(_TIME)
    if kind.kind == "bool":
        return pa.array([None if v is None else bool(v) for v in parts], pa.bool_())
    return pa.array(parts, kind.to_arrow())
