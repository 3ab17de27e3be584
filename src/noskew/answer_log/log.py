"""ServedLog: a sample of the answers of one process, kept in the offline store for the audit.

A request costs a hash a row, and for those that are kept an entry in a list. The rest is done by
a thread beside: looking at what the online store holds (:mod:`noskew.answer_log.coverage`), turning
entries into columns, and appending them, each batch whole or not at all. Nothing that fails there
disturbs an answer: entries wait, in memory that is bounded, and when it is full, new ones are
dropped and counted. A killed process loses what was waiting.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import Protocol

import pyarrow as pa

from noskew.answer_log.batch import Batch, Entry, ServedRows, entry_of
from noskew.answer_log.coverage import Coverage
from noskew.answer_log.sampling import Picked, Sample
from noskew.answer_log.table import ServedTable
from noskew.clock import Clock
from noskew.errors import ConflictError, NoskewError
from noskew.reading.request_plan import RequestPlan
from noskew.reading.response import OnlineResponse
from noskew.registry.base import Registry
from noskew.registry.records.kinds import SERVED
from noskew.registry.records.record import Record
from noskew.resources import Closing
from noskew.stores.offline.base import OfflineStore
from noskew.stores.online.base import OnlineStore

log = logging.getLogger("noskew.answer_log")
#: How often the thread looks at the online store, and whether something has to be written.
TICK_S = 1.0
#: How often rows are appended, unless that takes long or many wait.
EVERY_S = 10.0
#: Writing takes the interpreter from the requests: at most this share of the time.
BUSY = 0.01
#: So many bytes of rows wait at most, and so many are written at once.
MOST_BYTES = 64 << 20
_WRITE_BYTES = 8 << 20
#: Appends after which small files are merged, and old snapshots forgotten.
_COMPACT, _EXPIRE = 8, 128
#: How long the last writing may take at the end of the process, in seconds.
_LAST_S = 20.0
#: How long snapshots are kept, in µs: nobody pins them but an audit that runs.
_KEEP_SNAPSHOTS = 86_400_000_000


class Counts(Protocol):
    """Told how many rows of a service were sampled, logged, dropped and failed since last time."""

    def audited(
        self, service: str, *, sampled: int, logged: int, dropped: int, failed: int
    ) -> None:
        """Count rows."""

    def audit_failed(self, error: Exception) -> None:
        """Count something that failed and is tried again."""


class ServiceLog:
    """What is kept of one service's answers.

    ``sampled`` and ``dropped`` are counted by the thread of the requests, ``logged`` and ``failed``
    by the thread that writes.
    """

    def __init__(self, owner: ServedLog, plan: RequestPlan, share: float) -> None:
        self._owner, self.plan = owner, plan
        self._sample = Sample(plan, share)
        self._sample.warm()
        self.table = ServedTable(plan.service)
        self.sampled = self.dropped = self.logged = self.failed = 0
        self.reported = (0, 0, 0, 0)
        self.is_ready = False
        self.appends = 0
        self.entries: deque[Entry] = deque()
        self.waiting: list[tuple[pa.RecordBatch, int]] = []

    def add(self, response: OnlineResponse, start: float) -> None:
        """Keep the sampled rows of an answer; ``start``: when its request came.

        For an answer of this very service, or of one that gives the same columns other names.
        """
        picked = self._sample.pick(response.keys, len(response))
        if picked is not None:
            self._keep(response, picked, start)

    def _keep(self, response: OnlineResponse, picked: Picked, start: float) -> None:
        rows = len(picked[0])
        self.sampled += rows
        try:
            entry = entry_of(self.plan, response, picked, start)
        except Exception:  # whatever it is, the answer is right and must be given
            log.exception("an answer of %s cannot be kept", self.plan.service.name)
            self.dropped += rows
            return
        if self._owner.has_room(entry[-1]):
            self.entries.append(entry)
        else:
            self.dropped += rows


class ServedLog(Closing):
    """The answers that one process keeps, of all its services, and the thread that writes them.

    Parameters
    ----------
    share
        The share of entities whose answers are kept: above 0, at most 1.
    open_offline, registry, online
        What opens or gives the stores; asked for in the thread, and again after an error.
    most_bytes, every_s, tick_s, busy
        How much may wait, how often it is written and looked at, and the share of the time that
        writing may take.
    """

    def __init__(
        self,
        project: str,
        share: float,
        clock: Clock,
        counts: Counts,
        *,
        open_offline: Callable[[], OfflineStore],
        registry: Callable[[], Registry],
        online: Callable[[], OnlineStore],
        most_bytes: int = MOST_BYTES,
        every_s: float = EVERY_S,
        tick_s: float = TICK_S,
        busy: float = BUSY,
    ) -> None:
        self._project, self._share, self._clock, self._counts = project, share, clock, counts
        self._open_offline, self._registry, self._online = open_offline, registry, online
        self._most_bytes, self._every_s = most_bytes, every_s
        self._tick_s, self._busy = tick_s, busy
        self._offline: OfflineStore | None = None
        self._coverage = Coverage(project)
        self._logs: dict[str, ServiceLog] = {}
        # Two counters, each of which one thread alone changes.
        self._added = self._done = 0
        self._serial = 0
        self._server = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._wrote, self._took = monotonic(), 0.0
        self._told = ""
        self._stop, self._looking = Event(), Lock()
        self._thread = Thread(target=self._work, name="served log", daemon=True)

    def start(self) -> None:
        """Begin to write: before the first request, since opening the store takes a second."""
        try:
            self._opened()
        except NoskewError as error:
            self._fails(error)
        self._thread.start()

    def of(self, plan: RequestPlan) -> ServiceLog:
        """The log of a service's answers; the same one for the same definition."""
        key = ServedTable(plan.service).key
        service_log = self._logs.get(key)
        if service_log is None:
            service_log = ServiceLog(self, plan, self._share)
            self._logs = {**self._logs, key: service_log}
        return service_log

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may wait; they do then. In the thread of the requests."""
        if self._added - self._done + size > self._most_bytes:
            return False
        self._added += size
        return True

    def look(self) -> None:
        """Note what the online store holds now. It raises nothing."""
        try:
            views = [v for service_log in self._logs.values() for v in service_log.plan.views]
            with self._looking:
                self._coverage.look(views, self._online(), self._registry())
        except NoskewError as error:
            self._fails(error)

    def close(self) -> None:
        """Write what waits, if that can be, and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_S)
        if self._offline is not None:
            self._offline.close()
            self._offline = None

    # ---------------------------------------------------------------- in the thread

    def _work(self) -> None:
        while not self._stop.wait(self._tick_s):
            self._turn(now=False)
        self._turn(now=True)
        for service_log in self._logs.values():
            lost = sum(len(batch) for batch, _ in service_log.waiting)
            service_log.failed += lost
            if lost:
                log.warning("%d answers of %s were not kept", lost, service_log.table.service.name)
            self._tell(service_log)

    def _turn(self, *, now: bool) -> None:
        try:
            if not now:
                self.look()
            if now or self._is_due():
                began = monotonic()
                self._write()
                self._wrote = monotonic()
                self._took = self._wrote - began
        except Exception as error:  # the thread must live; the next turn tries again
            log.exception("keeping answers failed")
            self._counts.audit_failed(error)
        for service_log in self._logs.values():
            self._tell(service_log)

    def _is_due(self) -> bool:
        since = monotonic() - self._wrote
        if since < self._took / self._busy:
            return False
        return since >= self._every_s or self._added - self._done > self._most_bytes // 4

    def _write(self) -> None:
        """Append everything that waits, one commit for each service that has some."""
        for of in self._logs.values():
            entries = [of.entries.popleft() for _ in range(len(of.entries))]
            self._convert(of, [ServedRows(*entry) for entry in entries])
            if of.waiting:
                self._append(of)

    def _convert(self, of: ServiceLog, records: Sequence[ServedRows]) -> None:
        """Records as columns; those that cannot be are counted and given up."""
        for part in _portions(records):
            size = sum(r.bytes for r in part)
            try:
                of.waiting.append((self._batch(of, part), size))
            except (NoskewError, pa.ArrowException, ValueError) as error:
                if len(part) > 1:
                    for record in part:
                        self._convert(of, [record])
                    continue
                self._fails(error)
                of.failed += len(part[0].at)
                self._done += size

    def _batch(self, of: ServiceLog, records: Sequence[ServedRows]) -> pa.RecordBatch:
        batch = Batch(
            of.table,
            of.plan,
            records,
            coverage=self._coverage.at,
            server=self._server,
            serial=self._serial,
            written=self._clock.now(),
        )
        self._serial += len(batch)
        return batch.to_arrow()

    def _append(self, of: ServiceLog) -> None:
        """Append what waits of a service; after an error that passes, it waits on."""
        batches = [batch for batch, _ in of.waiting]
        rows, size = sum(map(len, batches)), sum(bytes_ for _, bytes_ in of.waiting)
        try:
            offline = self._ready(of)
            offline.append(of.table.name, batches)
        except NoskewError as error:
            self._fails(error)
            if error.retryable:
                return
            of.failed += rows
            of.waiting.clear()
            self._done += size
            return
        of.logged += rows
        of.waiting.clear()
        self._done += size
        self._told = ""
        self._tend(offline, of)

    def _ready(self, of: ServiceLog) -> OfflineStore:
        """The store, with the service's table; its definition is registered before."""
        offline = self._opened()
        if not of.is_ready:
            record = Record(SERVED, of.table.key, of.table.definition(), self._clock.now())
            self._registry().swap_record(self._project, record, expected=None)
            offline.create(of.table.spec)
            of.is_ready = True
        return offline

    def _opened(self) -> OfflineStore:
        if self._offline is None:
            offline = self._open_offline()
            offline.tables()  # which connects
            self._offline = offline
        return self._offline

    def _tend(self, offline: OfflineStore, of: ServiceLog) -> None:
        """Keep a table of many small commits in shape."""
        of.appends += 1
        with suppress(ConflictError):  # another process does; there is another turn
            if of.appends % _COMPACT == 0:
                offline.compact(of.table.name, small=True)
            if of.appends % _EXPIRE == 0:
                offline.expire(of.table.name, before=self._clock.now() - _KEEP_SNAPSHOTS)

    def _fails(self, error: Exception) -> None:
        """Count an error, and log it once until something succeeds."""
        self._counts.audit_failed(error)
        if str(error) != self._told:
            self._told = str(error)
            log.warning("keeping answers for the audit: %s", error)

    def _tell(self, service_log: ServiceLog) -> None:
        now = (service_log.sampled, service_log.logged, service_log.dropped, service_log.failed)
        new = [a - b for a, b in zip(now, service_log.reported, strict=True)]
        if any(new):
            service_log.reported = now
            sampled, logged, dropped, failed = new
            self._counts.audited(
                service_log.table.service.name,
                sampled=sampled,
                logged=logged,
                dropped=dropped,
                failed=failed,
            )


def _portions(records: Sequence[ServedRows]) -> Iterable[Sequence[ServedRows]]:
    """Records some megabytes at a time."""
    size, first = 0, 0
    for i, record in enumerate(records):
        size += record.bytes
        if size >= _WRITE_BYTES or i == len(records) - 1:
            yield records[first : i + 1]
            size, first = 0, i + 1
