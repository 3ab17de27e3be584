"""What each part of the suite of logs stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from noskew.stores.log.base import READ_BYTES, EventLog


class EventLogSuite:
    """An empty log, and what its kind can do to it."""

    #: A payload that does not fit into one portion of a read.
    huge_bytes = READ_BYTES + 1_000
    #: How often a writer is killed.
    kills = 4

    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        """An open and empty log of three partitions; close it afterwards."""
        raise NotImplementedError("give the class a fixture named log")

    def opener(self, log: EventLog) -> Callable[[], EventLog]:
        """Opens ``log`` again; it is sent to other processes, so no closure."""
        raise NotImplementedError

    def remove_before(self, log: EventLog, partition: int, offset: int) -> None:
        """Remove the messages before ``offset``, or as many of them as the log can, and one."""
        raise NotImplementedError

    def remake(self, log: EventLog) -> EventLog:
        """Remove the log, which stays open, and open an empty one that was made in its place."""
        raise NotImplementedError
