"""Assignment: which worker processes which partition of a source, agreed on in the registry."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from noskew.clock import Clock
from noskew.errors import ConflictError, NoskewError
from noskew.registry.base import Registry
from noskew.registry.records.kinds import ASSIGNMENTS
from noskew.registry.records.record import Record
from noskew.registry.records.streaming import Assignments
from noskew.resources import Closing
from noskew.stores.boot import boot_id
from noskew.streaming.fault_log import FaultLog

_logger = logging.getLogger(__name__)

#: A worker that was not heard of for so long owns no partitions.
LEASE_S = 5.0
_TRIES = 50


def share(
    agreed: Assignments, me: str, alive: Collection[str], partitions: int, *, count: int = 1
) -> tuple[Assignments, frozenset[int]]:
    """What ``me`` puts in the place of ``agreed``, and the partitions it should work on.

    ``count``: how often it has spoken. It must never say the same twice: whoever was taken for
    dead is heard again by a number that nobody heard from it before.

    Workers that are not alive lose theirs. Each worker's part is the same but for one; one that
    has too many keeps owning them until it gives them up, one that has too few takes what is
    free. Pure: when every worker has done this a few times, all partitions have an owner.
    """
    here = sorted({*alive, me})
    owners = {n: w for n, w in agreed.owners.items() if w in here and n < partitions}
    most = partitions // len(here) + (here.index(me) < partitions % len(here))
    mine = sorted(n for n, w in owners.items() if w == me)
    free = [n for n in range(partitions) if n not in owners]
    taken = free[: max(0, most - len(mine))]
    owners |= dict.fromkeys(taken, me)
    workers = {w: agreed.workers.get(w, 0) for w in here} | {me: count}
    return Assignments(workers, owners), frozenset([*mine, *taken][:most])


def _is_gone(worker: str) -> bool:
    """Whether a worker was a process of this machine, and is none any more."""
    host, pid, _ = worker.rsplit("-", 2)
    if host != _host():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _host() -> str:
    """The machine, and its boot."""
    return f"{socket.gethostname()}-{boot_id()[:8]}"


@dataclass
class PartitionAssignment(Closing):
    """The part of one worker in the partitions of a source.

    It only shares out the work: two workers of one partition do no harm, for rows have
    versions, states have epochs and archives have notes. A worker is taken for dead when its
    count did not change for :data:`LEASE_S`, by the watch of whoever looks: clocks need not
    agree. While the registry cannot be reached, everybody keeps what it has.
    """

    registry: Registry
    project: str
    source: str
    partitions: Callable[[], int]
    clock: Clock
    lease_s: float = LEASE_S
    worker: str = field(default_factory=lambda: f"{_host()}-{os.getpid()}-{secrets.token_hex(3)}")
    fault: NoskewError | None = None
    _heard: dict[str, tuple[int, float]] = field(default_factory=dict)
    _wanted: frozenset[int] = frozenset()
    _has_looked: bool = False
    _count: int = 0
    _fault_log: FaultLog | None = None

    @property
    def wanted(self) -> frozenset[int]:
        """The partitions that this worker should work on, when it last looked."""
        return self._wanted

    def look(self) -> frozenset[int]:
        """Say that this worker lives; the partitions that it should work on now.

        Raises what the registry does only if it could not be reached from the start.
        """
        try:
            size = self.partitions()
            self._count += 1
            self._wanted = self._swap(
                lambda agreed: share(
                    agreed, self.worker, self._alive(agreed.workers), size, count=self._count
                )
            )
            self._has_looked = True
            self._note(None)
        except NoskewError as error:
            if not self._has_looked:
                raise
            self._note(error)
        return self._wanted

    def release(self, numbers: Sequence[int]) -> None:
        """Let others take partitions that this worker has given up."""
        gone = frozenset(numbers)

        def without(agreed: Assignments) -> tuple[Assignments, frozenset[int]]:
            owners = {n: w for n, w in agreed.owners.items() if w != self.worker or n not in gone}
            return Assignments(agreed.workers, owners), self._wanted - gone

        try:
            self._wanted = self._swap(without)
        except NoskewError as error:  # then they are worked on again
            self._note(error)

    def close(self) -> None:
        """Leave: others take over at once. What cannot be told them now, they find out."""

        def left(agreed: Assignments) -> tuple[Assignments, frozenset[int]]:
            workers = {w: n for w, n in agreed.workers.items() if w != self.worker}
            owners = {n: w for n, w in agreed.owners.items() if w != self.worker}
            return Assignments(workers, owners), frozenset()

        try:
            self._swap(left)
        except NoskewError as error:
            self._note(error)

    def _note(self, fault: NoskewError | None) -> None:
        self.fault = fault
        if self._fault_log is None:
            self._fault_log = FaultLog(_logger, f"assignment of partitions of {self.source}")
        self._fault_log.note(fault)

    def _alive(self, workers: Mapping[str, int]) -> list[str]:
        now = monotonic()
        for worker, count in workers.items():
            before = self._heard.get(worker)
            if before is None or before[0] != count:
                self._heard[worker] = (count, now)
        return [w for w in workers if now - self._heard[w][1] < self.lease_s and not _is_gone(w)]

    def _swap(
        self, change: Callable[[Assignments], tuple[Assignments, frozenset[int]]]
    ) -> frozenset[int]:
        """Agree on a change, on top of whatever others agreed on meanwhile."""
        for _ in range(_TRIES):
            record = self.registry.record(self.project, ASSIGNMENTS, self.source)
            before = None if record is None else record.value
            agreed, wanted = change(before or Assignments())
            changed = Record(ASSIGNMENTS, self.source, agreed, self.clock.now())
            if self.registry.swap_record(self.project, changed, expected=before):
                return wanted
        raise ConflictError(
            f"who works on which partition of the source {self.source!r} changed {_TRIES} times in "
            f"a row meanwhile"
        )
