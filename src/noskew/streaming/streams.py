"""Streams: the logs and processors of a project's streaming sources."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
import pyarrow as pa

from noskew.clock import Clock
from noskew.definitions import connectors
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import ConfigError, DefinitionError, InputError
from noskew.kernel.conform import conform
from noskew.kernel.keys import buckets_of, encode_columns
from noskew.stores.log.base import EventLog
from noskew.stores.offline.base import OfflineStore, TableSpec
from noskew.stores.online.base import OnlineStore
from noskew.streaming.archiving import Archiving
from noskew.streaming.decode import encode_arrow
from noskew.streaming.processor import Processor, Watcher

#: Rows of one message at most: what is read in one portion.
MESSAGE_ROWS = 65_536


@dataclass
class Streams:
    """What a project keeps of its streams, under one directory."""

    project: str
    directory: Path
    clock: Clock
    _logs: dict[str, EventLog] = field(default_factory=dict)

    def log(self, source: Source) -> EventLog:
        """The log of a source, opened once. Raises ConfigError for a source without a stream."""
        if source.name not in self._logs:
            self._logs[source.name] = self._opened(source)
        return self._logs[source.name]

    def push(self, source: Source, rows: pa.Table) -> dict[int, int]:
        """Append rows to a source's local log; the offset after them, by partition.

        When it returns they survive a crash of the machine. Raises SchemaMismatchError for
        columns that do not fit; then nothing was appended.
        """
        stream = source.stream
        if not isinstance(stream, connectors.LocalLog):
            raise InputError(
                f"source {source.name!r} cannot be pushed to: its stream is {stream!r}; write to "
                f"that, or declare stream=ns.LocalLog()"
            )
        table = conform(rows, source.schema, f"rows pushed to {source.name!r}")
        log = self.log(source)
        appended = {}
        for partition, part in _parted(table, stream, log.partitions):
            batches = part.to_batches(max_chunksize=MESSAGE_ROWS)
            messages = [encode_arrow(pa.Table.from_batches([b])) for b in batches]
            if messages:
                appended[partition] = log.append(partition, messages) + 1
        return appended

    def processor(
        self,
        source: Source,
        views: Iterable[FeatureView],
        online: OnlineStore,
        *,
        partitions: Sequence[int] | None = None,
    ) -> Processor:
        """The processor of the online views of a source.

        Raises DefinitionError for a view whose entity does not stay in one partition.
        """
        mine = [v for v in fed_by(source, views) if v.online]
        if not mine:
            raise ConfigError(f"no view is made online from the source {source.name!r}")
        log = self.log(source)
        for view in mine:
            _check_key(view, source, log.partitions)
        return Processor(
            source, mine, log, online, project=self.project, clock=self.clock,
            directory=self.directory / "state" / source.name, partitions=partitions,
        )  # fmt: skip

    def run(
        self,
        source: Source,
        views: Iterable[FeatureView],
        online: OnlineStore,
        offline: OfflineStore,
        *,
        spec_of: Callable[[FeatureView], TableSpec],
        stop: Event | None,
        progress: Watcher | None = None,
    ) -> None:
        """Process and archive a source until ``stop`` is set; None: until both are caught up."""
        mine = fed_by(source, views)
        with (
            self.processor(source, mine, online) as processor,
            Archiving(
                source, mine, self.log(source), offline,
                directory=self.directory / "archive" / source.name, spec_of=spec_of,
            ) as archiving,
        ):  # fmt: skip
            processor.run(stop or Event(), until_caught_up=stop is None, told=progress)
            archiving.catch_up()

    def close(self) -> None:
        """Close the logs."""
        while self._logs:
            self._logs.popitem()[1].close()

    def _opened(self, source: Source) -> EventLog:
        stream = source.stream
        if isinstance(stream, connectors.LocalLog):
            from noskew.stores.log.local import LocalLog

            path = self.directory / "log" / source.name
            return LocalLog(path, partitions=stream.partitions, clock=self.clock)
        if isinstance(stream, connectors.Kafka):
            from noskew.stores.log.kafka import KafkaLog

            servers = os.environ.get(stream.servers_env)
            if not servers:
                raise ConfigError(
                    f"source {source.name!r}: set the environment variable {stream.servers_env} "
                    f"to the brokers of its topic, such as 127.0.0.1:9092"
                )
            return KafkaLog(stream.topic, {"bootstrap.servers": servers})
        raise ConfigError(
            f"source {source.name!r} has no stream; give it stream=ns.LocalLog() or ns.Kafka(…)"
        )


def fed_by(source: Source, views: Iterable[FeatureView]) -> list[FeatureView]:
    """The views of a source."""
    return [v for v in views if v.source.name == source.name]


def _parted(
    table: pa.Table, stream: connectors.LocalLog, partitions: int
) -> Iterable[tuple[int, pa.Table]]:
    if partitions == 1:
        return [(0, table)]
    columns = [table.column(k).combine_chunks() for k in stream.key]
    where = buckets_of(encode_columns(columns)[0], partitions)
    return [(int(p), table.filter(pa.array(where == p))) for p in np.unique(where)]


def _check_key(view: FeatureView, source: Source, partitions: int) -> None:
    """An entity's events must be in one partition, or its row would be made of a part of them."""
    assert source.stream is not None
    if partitions > 1 and set(source.stream.key) != set(view.entity.keys):
        raise DefinitionError(
            f"feature view {view.name!r}: its entity {view.entity.name!r} has the keys "
            f"{', '.join(view.entity.keys)}, and the {partitions} partitions of the source "
            f"{source.name!r} are by {', '.join(source.stream.key) or 'no declared key'}; declare "
            f"key=[…] in its stream, or stream the view from a log with one partition"
        )
