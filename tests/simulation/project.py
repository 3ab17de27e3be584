"""The views that are streamed in the simulation, made once a process, and the events they read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

import noskew as ns
from noskew.addresses import Tenant
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.intake.messages import encode_arrow
from noskew.intake.tables import table_spec
from noskew.kernel.keys import encode_columns
from noskew.stores.offline.base import TableSpec
from noskew.streaming.decoding.base import Decoder
from noskew.streaming.decoding.factory import decoder
from noskew.streaming.quarantine.schema import quarantine_spec

S = 1_000_000
TENANT = Tenant("simulated")
BUCKETS = 2
USERS = 24
LATENESS = 20 * S
MAX_FUTURE = 30 * S
ID_HORIZON = 40 * S
_SCHEMA = {"user": int, "at": "timestamp", "x": float, "id": str}


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the source, as it happened to be sent."""

    user: int | None
    at: int | None
    x: float | None
    id: str | None


@dataclass(frozen=True)
class Setting:
    """A source and what may be made of it.

    ``views`` are by name; ``since`` is of the events of ``sums``, and never there from the start.
    """

    source: Source
    views: dict[str, FeatureView]
    decode: Decoder

    @property
    def has_ids(self) -> bool:
        """Whether events have ids."""
        return self.source.event_id is not None

    @property
    def most_rows(self) -> int:
        """Rows of one message, at most."""
        assert self.source.stream is not None
        return 3 if self.source.stream.format == "arrow" else 1

    def encode(self, events: Sequence[Event]) -> bytes:
        """A message."""
        if self.most_rows == 1:
            (event,) = events
            return json.dumps(
                {"user": event.user, "at": event.at, "x": event.x, "id": event.id}
            ).encode()
        columns = {
            name: pa.array([getattr(e, name) for e in events], kind.to_arrow())
            for name, kind in self.source.schema.items()
        }
        return encode_arrow(pa.table(columns))


def _setting(ids: bool, form: str) -> Setting:
    source = ns.Source(
        "events",
        _SCHEMA,
        event_time="at",
        max_future=MAX_FUTURE,
        stream=ns.Kafka("events", format=form, key="user"),
        **{"event_id": "id", "event_id_horizon": ID_HORIZON} if ids else {},
    )
    user = ns.Entity("user", {"user": int})

    def view(name: str, features: list[object], **options: object) -> FeatureView:
        return ns.FeatureView(
            name, entity=user, source=source, features=features, lateness=LATENESS, **options
        )

    views = [
        view("sums", [ns.count(window="1min"), ns.sum("x", window="1min")]),
        view("newest", ["x", ns.mean("x")], late="table", max_age="30s"),
        view("exact", [ns.max("x", window="10s", hop="exact"), ns.last_value("x")], late="drop"),
        view("since", [ns.last_n("x", 3), ns.count(window="1h")]),
    ]
    made = {v.name: v for v in views}
    assert made["since"].log_hash == made["sums"].log_hash
    return Setting(source, made, decoder(source))


SETTINGS = [_setting(ids, form) for ids in (True, True, False) for form in ("json", "arrow")]
TABLES: dict[str, TableSpec] = {
    v.log_hash: table_spec(v, BUCKETS) for s in SETTINGS for v in s.views.values()
}
#: The user of each key, as bytes.
USER_OF: dict[bytes, int] = {
    key: user
    for user, key in enumerate(encode_columns([pa.array(range(USERS), pa.int64())])[0].to_list())
}


_ASIDE = {v.log_hash: quarantine_spec(v).name for s in SETTINGS for v in s.views.values()}


def aside_name(log_hash: str) -> str:
    """The table of what is no event of a kind of view."""
    return _ASIDE[log_hash]


def partition_of(user: int | None, partitions: int) -> int:
    """Where the events of a user are."""
    return (user or 0) % partitions
