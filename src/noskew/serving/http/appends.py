"""Appends: takes pushed rows to the logs of their sources, without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pyarrow as pa

from noskew.clock import Clock
from noskew.definitions.source import Source
from noskew.errors import StoreError
from noskew.intake.group_commit import GroupCommit
from noskew.intake.logs import Logs, partly
from noskew.resources import Closing
from noskew.wire.pushed import Pushed

PartitionMessages = Mapping[int, list[bytes]]
#: Bodies of up to so many bytes are made messages where they arrive: it takes less than a
#: millisecond, and a change of threads would cost others more.
INLINE_BYTES = 65_536


class Appends(Closing):
    """Appends to the local logs of a project; concurrent ones share the syncs of the disk.

    Belongs to one event loop. Appends to one log may come from several workers all the same.
    """

    def __init__(self, logs: Logs, clock: Clock) -> None:
        self._logs, self._clock = logs, clock
        self._commits: dict[str, GroupCommit] = {}

    async def append(
        self, source: Source, size: int, rows: Callable[[], pa.Table]
    ) -> tuple[int, Pushed]:
        """Append what ``rows`` makes of a body of ``size`` bytes; how many, and where.

        They are durable when it returns. Raises what ``rows`` and :meth:`Logs.push` raise.
        """

        def converted() -> tuple[int, PartitionMessages]:
            table = rows()
            return len(table), self._logs.messages(source, table)

        commit = self._commits.get(source.name)
        is_quick = commit is not None and size <= INLINE_BYTES
        count, messages = converted() if is_quick else await asyncio.to_thread(converted)
        if commit is None:
            commit = self._commits.setdefault(source.name, GroupCommit(self._logs.of(source)))
        return count, await self._appended(commit, messages)

    async def _appended(self, commit: GroupCommit, messages: PartitionMessages) -> Pushed:
        since = self._clock.now()
        waiting = {p: asyncio.wrap_future(commit.append(p, m)) for p, m in messages.items()}
        ended = await asyncio.gather(*waiting.values(), return_exceptions=True)
        offsets, errors = {}, []
        for partition, end in zip(waiting, ended, strict=True):
            if isinstance(end, BaseException):
                errors.append(end)
            else:
                offsets[partition] = end
        if errors:
            error = errors[0]
            raise partly(error, offsets) if isinstance(error, StoreError) else error
        return Pushed(offsets, since)

    def close(self) -> None:
        """Append what waits, and close the logs. Only when no request is under way."""
        for commit in self._commits.values():
            commit.close()
        self._commits.clear()
        self._logs.close()
