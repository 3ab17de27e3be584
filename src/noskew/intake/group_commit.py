"""GroupCommit: many appends at once to a local log, for one sync of the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple

from noskew.errors import StoreError
from noskew.resources import Closing
from noskew.stores.log.base import EventLog

#: Bytes of one append, unless a caller alone has more: what others wait for meanwhile.
GROUP_BYTES = 8 << 20


class GroupCommit(Closing):
    """Appends to one log for many callers; while the disk syncs, those that come later gather.

    Each partition has a thread of its own, which appends everything that waits for it in one
    go. Messages of one caller stay together and in order. Safe to share by threads.

    Parameters
    ----------
    log
        One that gives the messages of an append consecutive offsets, as a local log does. It
        is not closed with this.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._queues: dict[int, _Queue] = {}
        self._is_closed = False
        self._lock = Lock()

    def append(self, partition: int, messages: Sequence[bytes]) -> Future[int]:
        """Append messages; the offset after the last of them, once they are durable.

        The future raises what :meth:`EventLog.append` does. Cancelled before its turn came, it
        has appended nothing. Raises StoreError once closed.
        """
        with self._lock:
            if self._is_closed:
                raise StoreError("this server is about to end and takes no more events")
            queue = self._queues.get(partition)
            if queue is None:
                queue = self._queues[partition] = _Queue(self._log, partition)
            return queue.append(messages)

    def close(self) -> None:
        """Return once everything that waits is appended; a second call does nothing."""
        with self._lock:
            self._is_closed = True
        for queue in self._queues.values():
            queue.close()


class _Waiting(NamedTuple):
    messages: Sequence[bytes]
    done: Future[int]


class _Queue:
    """What waits to be appended to one partition."""

    def __init__(self, log: EventLog, partition: int) -> None:
        self._log, self._partition = log, partition
        self._waiting: deque[_Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="noskew-append")

    def append(self, messages: Sequence[bytes]) -> Future[int]:
        done: Future[int] = Future()
        self._waiting.append(_Waiting(messages, done))
        # One turn of the thread for each: most find that an earlier one took theirs along.
        self._thread.submit(self._commit)
        return done

    def close(self) -> None:
        self._thread.shutdown()

    def _commit(self) -> None:
        group = self._taken()
        messages = [m for waiting in group for m in waiting.messages]
        if not messages:
            return
        try:
            last = self._log.append(self._partition, messages)
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait for it
            for waiting in group:
                waiting.done.set_exception(error)
            return
        after = last + 1 - len(messages)
        for waiting in group:
            after += len(waiting.messages)
            waiting.done.set_result(after)

    def _taken(self) -> list[_Waiting]:
        """What is appended together: the oldest, and as many more as fit."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting:
            size += sum(map(len, self._waiting[0].messages))
            if group and size > GROUP_BYTES:
                break
            waiting = self._waiting.popleft()
            if waiting.done.set_running_or_notify_cancel():
                group.append(waiting)
        return group
