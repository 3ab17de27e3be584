"""The ways from facts to values that the kernel offers, for tests to hold against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import noskew as ns
from noskew.definitions.view import FeatureView
from noskew.kernel import values
from noskew.kernel.events import EVENT_ID as HASHED_ID
from noskew.kernel.events import Events
from noskew.kernel.history import KnownAt, historical, null_where
from noskew.kernel.keys import encode_columns
from noskew.kernel.plan import ViewPlan, compile_view
from noskew.testing.reference import Fact, Key, Row
from noskew.testing.strategies import EVENT_ID, facts_to_table, rows_to_table

SCHEMA: dict[str, Any] = {
    "user_id": int,
    "at": "timestamp",
    "event_id": str,
    "x": float,
    "f": "float32",
    "n": int,
    "small": "int8",
    "ok": bool,
    "s": str,
    "b": bytes,
    "money": "decimal(38, 3)",
    "day": "date",
    "moment": "timestamp",
    "tags": "list<string>",
    "readings": "list<float64>",
    "vector": "vector<float32, 2>",
}
USER = ns.Entity("user", {"user_id": int})


def make_view(
    *features: Any, event_id: str | None = None, horizon: int | str = "1d", **options: Any
) -> FeatureView:
    """A view over :data:`SCHEMA` of one entity with an integer key."""
    source = ns.Source(
        "events", SCHEMA, event_time="at", event_id=event_id, event_id_horizon=horizon
    )
    return ns.FeatureView("view", entity=USER, source=source, features=features, **options)


def fact(
    at: int, *, known: int | None = None, sequence: int = 0, key: Any = (1,), **cells: Any
) -> Fact:
    return Fact(key, at, at if known is None else known, sequence, cells)


def events_of(view: FeatureView, facts: Sequence[Fact]) -> Events:
    """The facts as the offline store hands them to the kernel."""
    table = facts_to_table(view, facts)
    if view.source.event_id is not None:
        ids = table.column(EVENT_ID).combine_chunks()
        hashed = pa.array(values.hashes(ids).view(np.int64), mask=~values.valid_of(ids))
        table = table.append_column(HASHED_ID, hashed)
    horizon = view.source.event_id_horizon
    return Events.from_table(table, list(view.entity.keys), id_horizon=horizon)


def encoded(view: FeatureView, keys: Sequence[Key | None]) -> tuple[list[bytes], NDArray[np.bool_]]:
    """Key bytes, and which keys have no null part."""
    table = rows_to_table(view, [(key, 0) for key in keys])
    columns = [table.column(k).combine_chunks() for k in view.entity.keys]
    raw, valid = encode_columns(columns)
    return raw.to_list(), valid


def answers(
    view: FeatureView,
    facts: Sequence[Fact],
    rows: Sequence[Row],
    known_at: KnownAt = None,
    *,
    plan: ViewPlan | None = None,
) -> pa.Table:
    """The kernel's history of the rows."""
    events = events_of(view, facts)
    at = {key: i for i, key in enumerate(events.encoded_keys().to_list())} if len(events) else {}
    asked, valid = encoded(view, [key for key, _ in rows])
    entity = np.array([at.get(key, -1) for key in asked], np.int64)
    t = np.array([t for _, t in rows], np.int64)
    found = historical(plan or compile_view(view), events, entity, t, known_at)
    return pa.table({name: null_where(column, ~valid) for name, column in found.items()})
