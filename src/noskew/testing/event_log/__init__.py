"""The tests every log passes, for our backends and for yours.

Derive a class, give it an empty log of three partitions and ways to remove its oldest messages
and to make it anew, and run it with pytest::

    class TestMyLog(EventLogTests):
        @pytest.fixture
        def log(self, tmp_path):
            with MyLog(tmp_path, partitions=3) as log:
                yield log

        def opener(self, log): return functools.partial(MyLog, log.path)
        def remove_before(self, log, partition, offset): ...
        def remake(self, log): ...
"""

from __future__ import annotations

from noskew.testing.event_log.appends import AppendTests
from noskew.testing.event_log.bounds import BoundsTests
from noskew.testing.event_log.lifetime import LifetimeTests
from noskew.testing.event_log.lists import ListTests
from noskew.testing.event_log.partitions import PartitionTests
from noskew.testing.event_log.reading import (
    PARTITIONS,
    assert_lost,
    payloads_of,
    read_all,
    wait_for_messages,
)
from noskew.testing.event_log.sharing import SharingTests

__all__ = [
    "PARTITIONS",
    "EventLogTests",
    "assert_lost",
    "payloads_of",
    "read_all",
    "wait_for_messages",
]


class EventLogTests(
    AppendTests, BoundsTests, PartitionTests, SharingTests, LifetimeTests, ListTests
):
    """What :class:`noskew.stores.log.base.EventLog` promises, as tests."""
