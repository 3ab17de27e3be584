"""The ways in which events become answers: training, rows online, HTTP, a stream, a table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from noskew.addresses import OnlineRows, Tenant, part_suffix
from noskew.clock import MIN_TIME, FixedClock
from noskew.config import OfflineConfig
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.intake.ingested import beside_streamed
from noskew.intake.messages import encode_arrow
from noskew.intake.tables import table_spec
from noskew.kernel.bulk import bulk_rows
from noskew.kernel.events import KNOWN_TIME, SEQUENCE, Events
from noskew.kernel.history import historical
from noskew.kernel.plan import compile_view
from noskew.kernel.rows.codec import RowLayout, version_bytes
from noskew.kernel.rows.heartbeat import heartbeat_row
from noskew.kernel.values import hashes
from noskew.project_stores.factories import open_offline
from noskew.reading.reader import OnlineReader
from noskew.serving.http import arrow_rows
from noskew.serving.http.arrow_answer import ArrowAnswer
from noskew.serving.http.json_answer import JsonAnswer
from noskew.stores.log.base import Messages
from noskew.stores.online.base import OnlineStore
from noskew.stores.online.memory import MemoryStore
from noskew.streaming.decoding.arrow import ArrowDecoder
from noskew.streaming.fold.event_pipeline import EventPipeline
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.view_fold import ViewFold
from noskew.training.history import historical_features
from noskew.training.keys import positions
from noskew.wire.arrow_answer import RemoteResponse
from noskew.wire.json_values import converter

_TENANT = Tenant("certification")
_EVENT_TIME = "_asked_at"
_MINUTE = 60_000_000


@dataclass(frozen=True)
class PathAnswers:
    """What a path answers: a row a question, a column a feature."""

    path: str
    values: pa.Table


@dataclass(frozen=True)
class Questions:
    """Entities and a time: what is asked of every path. ``keys``: one row an entity."""

    keys: pa.Table
    t: int

    def __len__(self) -> int:
        return len(self.keys)


class FeaturePaths:
    """The paths of one view from its events on. Everything happens in memory, but the table."""

    def __init__(self, view: FeatureView, known_time: int) -> None:
        self._view, self._known = view, known_time
        self._service = FeatureService(_TENANT.name, [view], full_names=True)
        self._keys = list(view.entity.keys)

    def of_batch(
        self, events: pa.Table, *, table: bool
    ) -> Iterator[tuple[PathAnswers, PathAnswers]]:
        """Pairs of answers that must be equal, for the events of a batch source.

        ``table``: also write the events into an offline table and read them back.
        """
        numbered = events.append_column(SEQUENCE, pa.array(np.arange(len(events))))
        for asked in self._questions(numbered):
            expected = self._training(numbered, asked)
            store = self._materialized(numbered, asked.t)
            for answers in self._online(store, asked):
                yield expected, answers
            if table:
                yield expected, self._table(events, asked)
                table = False

    @property
    def no_stream(self) -> str:
        """Why the view cannot be streamed; empty if it can."""
        source = self._view.source
        if source.stream is None:
            return "the source has no stream"
        if source.event_id and source.stream.has_partitions and not source.stream.key:
            return "nothing says that two events of one id come to the same partition"
        return ""

    def of_stream(self, rows: pa.Table) -> Iterator[tuple[PathAnswers, PathAnswers]]:
        """The same for a stream of rows, taken in small batches; held against its own archive."""
        store, archive = self._streamed(rows)
        for asked in self._questions(archive):
            expected = self._training(archive, asked)
            (answers, *_) = self._online(store, asked)
            yield expected, PathAnswers("stream", answers.values)

    def _questions(self, events: pa.Table) -> Iterator[Questions]:
        """Every entity of the events, soon after the last fact and when windows have moved on."""
        keys = events.select(self._keys).group_by(self._keys, use_threads=False).aggregate([])
        keys = keys.select(self._keys)
        latest = int(pa.compute.max(events.column(KNOWN_TIME).cast(pa.int64())).as_py() or 0)
        start = max(latest, self._known)  # no later than what any path was told
        for later in (0, 61 * _MINUTE + 1):
            yield Questions(keys, start + later)

    def _training(self, events: pa.Table, asked: Questions) -> PathAnswers:
        """By the kernel, from the events themselves."""
        horizon = self._view.source.event_id_horizon
        ordered = Events.from_table(events, self._keys, id_horizon=horizon)
        entity = _entities(ordered, asked.keys, self._keys)
        t = np.full(len(asked), asked.t)
        values = historical(compile_view(self._view), ordered, entity, t, asked.t)
        return PathAnswers("training", pa.table({n: values[n] for n in self._view.features}))

    def _materialized(self, events: pa.Table, until: int) -> OnlineStore:
        """Rows of every entity, packed as ``materialize`` packs them."""
        store, layout = MemoryStore(), RowLayout(compile_view(self._view))
        prefix = _TENANT.rows(self._view).prefix
        ordered = Events.from_table(
            events, self._keys, id_horizon=self._view.source.event_id_horizon
        )
        stamp = until, version_bytes(until, 1)
        of_batch = part_suffix(0) if self._view.has_partial_rows else b""
        for keys, rows in bulk_rows(layout, ordered, prefix, lambda _: stamp):
            store.write([key + of_batch for key in keys.to_list()], rows.to_list())
        store.write([OnlineRows(prefix).heartbeat], [heartbeat_row(until, 1)])
        return store

    def _online(self, store: OnlineStore, asked: Questions) -> Iterator[PathAnswers]:
        """Rows read back: in process, and over HTTP's two forms."""
        reader = OnlineReader(self._service, store, FixedClock(asked.t), tenant=_TENANT)
        names = list(self._view.features)
        answer = reader.get(asked.keys)
        yield PathAnswers("rows online", answer.to_arrow().rename_columns(names))
        sent = arrow_rows.parse(encode_arrow(asked.keys), len(asked)).to_pydict()
        remote = reader.get(sent)
        body = ArrowAnswer(reader.plan).encode(remote)
        yield PathAnswers(
            "HTTP, Arrow", RemoteResponse(body, sent).to_arrow().rename_columns(names)
        )
        yield PathAnswers("HTTP, JSON", self._from_json(JsonAnswer(reader.plan).encode(remote)))

    def _from_json(self, body: bytes) -> pa.Table:
        answers = orjson.loads(body)["features"]
        columns = {}
        for name, feature in self._view.features.items():
            values: list[Any] = answers[f"{self._view.name}__{name}"]
            convert = converter(feature.dtype)
            if convert is not None:
                values = [None if v is None else convert(v) for v in values]
            columns[name] = pa.array(values, feature.dtype.to_arrow())
        return pa.table(columns)

    def _streamed(self, rows: pa.Table) -> tuple[OnlineStore, pa.Table]:
        """The rows of a stream of messages, one a row, and the events that it archives."""
        stream, partition = _Stream(self._view), self._partitions(rows)
        for number in range(int(partition.max(initial=0)) + 1):
            mine = np.flatnonzero(partition == number)
            # No two messages are appended at one time: a tie between partitions has no order.
            stream.take_in(number, rows.take(pa.array(mine)), self._known + mine)
        return stream.store, pa.concat_tables(stream.archive)

    def _partitions(self, rows: pa.Table) -> NDArray[np.int64]:
        """The partition of each row: two, where the partitions are not by the entity's key."""
        if not self._view.has_partial_rows:
            return np.zeros(len(rows), np.int64)
        source = self._view.source
        # Events of one id are taken to come to one partition, as a source with ids promises.
        by = (source.event_id,) if source.event_id else (source.stream.key if source.stream else ())
        if not by:
            return np.arange(len(rows)) % 2
        hashed = np.add.reduce([hashes(rows.column(name).combine_chunks()) for name in by])
        return np.asarray(hashed % 2, np.int64)

    def _table(self, events: pa.Table, asked: Questions) -> PathAnswers:
        """From an offline table of their own, as training sets are made."""
        with (
            tempfile.TemporaryDirectory(prefix="noskew-certify-") as root,
            open_offline(OfflineConfig(), Path(root), _TENANT) as offline,
        ):
            spec = table_spec(self._view, 1)
            offline.create(spec)
            offline.append(spec.name, beside_streamed(events).to_batches(), token=_TENANT.name)
            when = pa.array(np.full(len(asked), asked.t)).view(pa.timestamp("us", "UTC"))
            rows = asked.keys.append_column(_EVENT_TIME, when)
            answer = historical_features(
                self._service, rows, offline, event_time=_EVENT_TIME, known_at=asked.t
            )
        names = list(self._view.features)
        return PathAnswers(
            "offline table", answer.drop_columns(rows.column_names).rename_columns(names)
        )


@dataclass
class _History:
    """What was read of one partition so far."""

    progress: PartitionProgress = field(default_factory=PartitionProgress)
    accepted: dict[bytes, int] = field(default_factory=dict)

    def seen(self, identities: Sequence[bytes | None]) -> Mapping[bytes, int]:
        del identities  # whatever was accepted
        return self.accepted


class _Stream:
    """A stream's rows in memory: the parts that decide, without what makes them durable."""

    def __init__(self, view: FeatureView) -> None:
        self._fold = ViewFold(view, _TENANT)
        self._pipeline = EventPipeline([view], ArrowDecoder(view.source.schema, "a row"))
        self.store = MemoryStore()
        self.archive: list[pa.Table] = []
        self._parts_key = OnlineRows(self._fold.prefix).parts

    def take_in(self, partition: int, rows: pa.Table, known: NDArray[np.int64]) -> None:
        """All rows of a partition, some messages at a time; ``known``: when appended, µs."""
        history, chance = _History(), Random(len(rows))
        payloads = pa.array(
            [encode_arrow(rows.slice(i, 1)) for i in range(len(rows))], pa.large_binary()
        )
        while history.progress.next_offset < len(rows) or not self.archive:
            start = history.progress.next_offset
            at = slice(start, min(len(rows), start + chance.randint(1, 64)))
            messages = Messages(
                partition, np.arange(at.start, at.stop), known[at], payloads[at], at.stop
            )
            (accepted,) = self._pipeline(messages, [history])
            if keys := self._fold.keys(accepted, partition):
                self.store.write(keys, self._fold.rows(accepted, self.store.read(keys)))
            history.progress = accepted.progress
            history.accepted |= accepted.seen
            self.archive.append(accepted.table)
        self.store.write([self._parts_key], [heartbeat_row(MIN_TIME, partition + 1)])
        self.store.write([OnlineRows(self._fold.prefix).heartbeat], [heartbeat_row(MIN_TIME, 0)])


def _entities(events: Events, keys: pa.Table, names: list[str]) -> NDArray[np.int64]:
    """Which entity of the events each key is; −1 for none."""
    return positions(keys, events.keys.select(names))
