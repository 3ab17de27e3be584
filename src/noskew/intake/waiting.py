"""Waiting until pushed events can be read: until every online view of their source has them.

Whoever folds a stream writes, for each view and partition, a row that says how far it is, after
the rows of which it says so. These *progress rows* are all that is looked at, so that it does
not matter which process folds, or where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from threading import Event
from time import monotonic

from noskew.addresses import OnlineRows, Tenant
from noskew.definitions.source import Source
from noskew.definitions.view import FeatureView
from noskew.errors import InputError, StoreError
from noskew.kernel.rows.codec import OFFSET_BITS, version_of
from noskew.stores.online.base import OnlineStore
from noskew.wire.pushed import Pushed

#: Seconds between two looks: this many at first, then a quarter more each time nothing has
#: changed. A wait that took T is so noticed within T/5, and one in vain costs few reads.
FIRST_PAUSE_S = 0.001
LONGEST_PAUSE_S = 0.05
LONGER = 1.25


def online_views(tenant: Tenant, source: Source, views: Iterable[FeatureView]) -> dict[str, bytes]:
    """The views of a source that are made online: their names, and prefixes in the store.

    Raises InputError if there is none, since there is nothing to wait for then.
    """
    prefixes = {
        v.name: tenant.rows(v).prefix for v in views if v.online and v.source.name == source.name
    }
    if not prefixes:
        raise InputError(
            f"no view is made online from the source {source.name!r}, so nothing can be waited "
            f"for; push without waiting"
        )
    return prefixes


def wait_until_readable(
    online: OnlineStore, views: Mapping[str, bytes], pushed: Pushed, timeout_s: float
) -> Pushed:
    """Block until ``views`` (see :func:`online_views`) have the events, or the time is over.

    Never raises for a store that fails, which leaves the events unread and not unwritten: it is
    asked again.
    """
    awaited = Awaited(views, pushed)
    until, pause, never = monotonic() + timeout_s, FIRST_PAUSE_S, Event()
    while not awaited.note(_look(online, awaited.keys)):
        left = until - monotonic()
        if left <= 0:
            break
        # The store is another process's as well, which tells nobody: look again after a pause.
        never.wait(min(left, pause))
        pause = min(pause * LONGER, LONGEST_PAUSE_S)
    return awaited.told(pushed)


class Awaited:
    """The progress rows that must get further before some pushed events can be read."""

    def __init__(self, views: Mapping[str, bytes], pushed: Pushed) -> None:
        self._since = pushed.since
        self._left = {
            OnlineRows(prefix).progress(partition): (view, offset)
            for view, prefix in views.items()
            for partition, offset in pushed.items()
        }

    @property
    def keys(self) -> list[bytes]:
        """The keys of the rows that are awaited still."""
        return list(self._left)

    def note(self, rows: Mapping[bytes, bytes | None]) -> bool:
        """Take note of what progress rows say; True: nothing is awaited any more."""
        for key, (_, offset) in list(self._left.items()):
            row = rows.get(key)
            if row is not None and self._has(row, offset):
                del self._left[key]  # progress never steps back
        return not self._left

    def _has(self, row: bytes, offset: int) -> bool:
        """Whether a row says that all messages before ``offset`` were read, of this very log.

        A log that took the place of one that was removed has the offsets of the other again. The
        view knows of our append time only if it read this one.
        """
        known, number = version_of(row)
        return number & ((1 << OFFSET_BITS) - 1) >= offset and known >= self._since

    def told(self, pushed: Pushed) -> Pushed:
        """The same events, with what is known of who can read them."""
        behind = tuple(sorted({view for view, _ in self._left.values()}))
        return replace(pushed, readable=not behind, behind=behind)


def _look(online: OnlineStore, keys: list[bytes]) -> dict[bytes, bytes | None]:
    try:
        return dict(zip(keys, online.read(keys), strict=True))
    except StoreError:
        return {}
