"""Facts and rows as Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from noskew.clock import to_datetime
from noskew.definitions.view import FeatureView
from noskew.testing.reference import Fact, Row
from noskew.types import dtype

EVENT_TIME, KNOWN_TIME, SEQUENCE = "_event_time", "_known_time", "_sequence"
RETRACTS = "_retracts"
#: Sequences of retractions are above those of facts.
_ABOVE = 1_000_000
_TIMESTAMP = dtype("timestamp")


def facts_to_table(view: FeatureView, about: Sequence[Fact]) -> pa.Table:
    """The facts as the offline store holds them, in their order.

    Columns: the keys, the view's other columns, and ``_event_time`` and ``_known_time``
    (timestamp[us, UTC]) and ``_sequence`` (int64). The source's clock columns are filled.

    If some were taken back, a row follows for each of these, with the sequence of the fact in
    ``_retracts`` (int64).
    """
    back = [fact for fact in about if fact.retracted_time is not None]
    if not back:
        return _facts(view, about)
    retractions = [
        replace(f, known_time=f.retracted_time, sequence=_ABOVE + f.sequence, values={})
        for f in back
        if f.retracted_time is not None
    ]
    none = pa.nulls(len(about), pa.int64())
    targets = pa.array([f.sequence for f in back], pa.int64())
    return pa.concat_tables(
        [
            _facts(view, about).append_column(RETRACTS, none),
            _facts(view, retractions).append_column(RETRACTS, targets),
        ]
    )


def _facts(view: FeatureView, about: Sequence[Fact]) -> pa.Table:
    columns: dict[str, pa.Array[Any]] = {}
    for i, (name, kind) in enumerate(view.entity.keys.items()):
        columns[name] = pa.array([fact.key[i] for fact in about], type=kind.to_arrow())
    for name, kind in view.columns.items():
        if name not in columns:
            cells = [_cell(view, fact, name) for fact in about]
            columns[name] = pa.array(cells, type=kind.to_arrow())
    columns[EVENT_TIME] = _times([fact.event_time for fact in about])
    columns[KNOWN_TIME] = _times([fact.known_time for fact in about])
    columns[SEQUENCE] = pa.array([fact.sequence for fact in about], type=pa.int64())
    return pa.table(columns)


def rows_to_table(
    view: FeatureView, asked: Sequence[Row], event_time: str = "event_timestamp"
) -> pa.Table:
    """The rows as a caller's table: the key columns and the time asked for."""
    columns: dict[str, pa.Array[Any]] = {}
    for i, (name, kind) in enumerate(view.entity.keys.items()):
        cells = [key[i] if key is not None else None for key, _ in asked]
        columns[name] = pa.array(cells, type=kind.to_arrow())
    columns[event_time] = _times([t for _, t in asked])
    return pa.table(columns)


def _cell(view: FeatureView, fact: Fact, name: str) -> Any:
    if name not in fact.values and name == view.source.event_time:
        return to_datetime(fact.event_time)
    if name not in fact.values and name == view.source.created:
        return to_datetime(fact.known_time)
    return fact.values.get(name)


def _times(micros: list[int]) -> pa.Array[Any]:
    return pa.array(micros, type=pa.int64()).cast(_TIMESTAMP.to_arrow())
