"""What was served, read back from the offline store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from noskew.answer_log.table import SERIAL, SERVER, ServedTable
from noskew.clock import Clock, duration_micros, to_micros
from noskew.definitions.service import FeatureService
from noskew.errors import DefinitionError, InputError, unknown
from noskew.kernel.keys import integers
from noskew.registry.base import Registry
from noskew.registry.records.kinds import SERVED
from noskew.registry.records.serving import ServedDefinition
from noskew.stores.offline.base import EVENT_TIME, Filter, OfflineStore
from noskew.training.event_time import DEFAULT_EVENT_TIME
from noskew.training.training_set import TrainingSet

#: Rows that are given at a time, at least as long as there are so many.
PORTION = 50_000


@dataclass(frozen=True)
class Period:
    """From a time to a time, in µs, both closed; None: from the beginning."""

    since: int | None
    until: int

    @classmethod
    def of(cls, since: object, until: object, clock: Clock) -> Period:
        """Of times, or of durations before now such as ``"1h"``; ``until``: None is now."""
        now = clock.now()
        first = None if since is None else _moment(since, now)
        last = now if until is None else _moment(until, now)
        if first is not None and first > last:
            raise InputError(f"since={since!r} is after until={until!r}")
        return cls(first, last)


def _moment(value: Any, now: int) -> int:
    if isinstance(value, str) and value[:1].isdigit():
        try:
            return now - duration_micros(value)
        except InputError:
            pass  # then it is a time, or nothing
    return to_micros(value)


def kept(project: str, registry: Registry, service: str | None = None) -> list[ServedDefinition]:
    """What was registered of the tables of served answers; of one service, or of all.

    Raises NotFoundError for a service of which nothing was ever kept.
    """
    definitions = [record.value for record in registry.records(project, SERVED)]
    names = {definition.service for definition in definitions}
    if service is not None and service not in names:
        raise unknown("served answers of the service", service, names)
    return [definition for definition in definitions if service in (None, definition.service)]


def served_table_of(definition: ServedDefinition) -> ServedTable:
    """The table of served answers that something was registered of.

    Raises DefinitionError for a definition that means something else by now, or nothing: another
    version of noskew, or of an engine, wrote it.
    """
    table = ServedTable.of(definition)
    if table.name != definition.table:
        raise DefinitionError(
            f"answers of {definition.service!r} in {definition.table} were served by another "
            f"version of noskew, or of an engine, whose values may differ: nothing can be said of "
            f"them"
        )
    return table


def portions(offline: OfflineStore, table: ServedTable, period: Period) -> Iterator[pa.Table]:
    """The rows of a period, some at a time, each once; with the system columns of their times."""
    if table.name not in offline.tables():
        return
    info = offline.info(table.name)
    columns = [*table.spec.schema.names, EVENT_TIME]
    where = Filter(event_from=period.since, event_to=period.until)
    portion: list[pa.Table] = []
    for batch in offline.scan(table.name, columns, bucket=0, where=where, snapshot=info.snapshot):
        portion.append(_distinct(_within(batch.select(columns), period)))
        if sum(map(len, portion)) >= PORTION:
            yield pa.concat_tables(portion)
            portion = []
    rest = pa.concat_tables(portion) if portion else None
    if rest is not None and len(rest):
        yield rest


def get_served(
    offline: OfflineStore,
    service: FeatureService,
    period: Period,
    *,
    event_time: str = DEFAULT_EVENT_TIME,
) -> TrainingSet:
    """The answers of a service, as it is defined, that were kept of a period."""
    table = ServedTable(service)
    names = [*table.keys, *table.request, *table.features]
    if event_time in names:
        raise InputError(
            f"{service.name!r} has a column {event_time!r} of its own; name that of the times with "
            f"event_time='…'"
        )
    parts = list(portions(offline, table, period))
    schema = table.spec.schema.append(pa.field(EVENT_TIME, pa.timestamp("us", "UTC")))
    rows = pa.concat_tables(parts) if parts else schema.empty_table()
    rows = rows.sort_by([(EVENT_TIME, "ascending"), (SERVER, "ascending"), (SERIAL, "ascending")])
    columns = {**table.keys, **table.request, event_time: EVENT_TIME, **table.features}
    named = {n: rows.column(c).cast(schema.field(c).type) for n, c in columns.items()}
    return TrainingSet(pa.table(named).combine_chunks())


def _within(rows: pa.Table, period: Period) -> pa.Table:
    t = integers(rows.column(EVENT_TIME).combine_chunks())
    there = t <= period.until
    if period.since is not None:
        there &= t >= period.since
    return rows if there.all() else rows.filter(pa.array(there))


def _distinct(rows: pa.Table) -> pa.Table:
    """Each served row once, however often it was appended."""
    if not len(rows):
        return rows
    places = rows.select([SERVER, SERIAL]).append_column("at", pa.array(np.arange(len(rows))))
    first = places.group_by([SERVER, SERIAL]).aggregate([("at", "min")])
    if len(first) == len(rows):
        return rows
    return rows.take(pa.array(np.sort(first.column("at_min").to_numpy())))
