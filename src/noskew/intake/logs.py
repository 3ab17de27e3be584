"""Logs: those of a project's streaming sources, opened once each."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa

from noskew.clock import Clock
from noskew.definitions import connectors
from noskew.definitions.source import Source
from noskew.errors import ConfigError, InputError, StoreError
from noskew.intake.messages import encode_arrow
from noskew.kernel.conform import conform
from noskew.kernel.keys import buckets_of, encode_columns
from noskew.resources import Closing
from noskew.stores.log import open_log
from noskew.stores.log.base import EventLog
from noskew.wire.pushed import Pushed

#: Rows of one message at most: what is read in one portion.
MESSAGE_ROWS = 65_536


class Logs(Closing):
    """The logs of streaming sources; local ones are under ``directory``. Safe to share by threads.

    ``clock`` gives the append times of local logs.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory, self._clock = directory, clock
        self._opened: dict[str, EventLog] = {}
        self._lock = Lock()

    def of(self, source: Source) -> EventLog:
        """The log of a source. Raises ConfigError for a source without a stream."""
        with self._lock:
            if source.name not in self._opened:
                self._opened[source.name] = self._open(source)
            return self._opened[source.name]

    def push(self, source: Source, rows: pa.Table) -> Pushed:
        """Append rows to a source's local log; the offset after them, by partition.

        When it returns they survive a crash of the machine. Raises as :meth:`messages` does,
        and then nothing was appended; StoreFullError or StoreUnavailableError, saying so where
        a part of the rows is in the log.
        """
        messages = self.messages(source, rows)
        log, since = self.of(source), self._clock.now()
        appended: dict[int, int] = {}
        for partition, part in messages.items():
            try:
                appended[partition] = log.append(partition, part) + 1
            except StoreError as error:
                raise partly(error, appended) from error
        return Pushed(appended, since)

    def messages(self, source: Source, rows: pa.Table) -> dict[int, list[bytes]]:
        """Rows as the messages to append to a source's local log, by partition.

        Raises SchemaMismatchError for columns that do not fit, and InputError for a source
        whose log is not written here.
        """
        stream = local_log(source)
        table = conform(rows, source.schema, f"rows pushed to {source.name!r}")
        return {
            partition: [
                encode_arrow(pa.Table.from_batches([batch]))
                for batch in part.to_batches(max_chunksize=MESSAGE_ROWS)
            ]
            for partition, part in _parted(table, stream, self.of(source).partitions)
            if len(part)
        }

    def close(self) -> None:
        """Close the logs; a second call does nothing."""
        with self._lock:
            while self._opened:
                self._opened.popitem()[1].close()

    def _open(self, source: Source) -> EventLog:
        stream = source.stream
        if stream is None:
            raise ConfigError(
                f"source {source.name!r} has no stream; give it stream=ns.LocalLog() or ns.Kafka(…)"
            )
        directory = self._directory / source.name
        try:
            return open_log(stream.kind, stream.to_dict(), directory=directory, clock=self._clock)
        except ConfigError as error:
            raise ConfigError(f"source {source.name!r}: {error}") from error


def local_log(source: Source) -> connectors.LocalLog:
    """The log that rows pushed to a source go to. Raises InputError if it is not a local one."""
    stream = source.stream
    if stream is None:
        raise InputError(
            f"source {source.name!r} cannot be pushed to: it has no stream; ingest its batch data, "
            f"or declare stream=ns.LocalLog()"
        )
    if not isinstance(stream, connectors.LocalLog) or stream.format != "arrow":
        raise InputError(
            f"source {source.name!r} cannot be pushed to: its stream is {stream!r}; write to "
            f"that, or declare stream=ns.LocalLog()"
        )
    return stream


def partly(error: StoreError, appended: Collection[int]) -> StoreError:
    """The error for rows of which those of some partitions were appended before it happened."""
    if not appended:
        return error
    where = ", ".join(map(str, sorted(appended)))
    return type(error)(
        f"{error}. A part of the rows was appended, that of the partitions {where}: only a source "
        f"with an event_id may be pushed the same rows again"
    )


def _parted(
    table: pa.Table, stream: connectors.LocalLog, partitions: int
) -> Iterable[tuple[int, pa.Table]]:
    if partitions == 1:
        return [(0, table)]
    columns = [table.column(k).combine_chunks() for k in stream.key]
    where = buckets_of(encode_columns(columns)[0], partitions)
    return [(int(p), table.filter(pa.array(where == p))) for p in np.unique(where)]
