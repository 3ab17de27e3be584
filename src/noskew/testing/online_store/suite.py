"""What each part of the suite of online stores stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from noskew.stores.online.base import OnlineStore


class OnlineStoreSuite:
    """An empty store, a way around it, and what it can do."""

    #: Rows outlive the object: ``opener`` opens them again. False for a store in memory.
    supports_reopen = True
    #: Several processes may have the store open.
    supports_processes = True
    #: Somebody else can put bytes into the backend, so that the store has to notice.
    detects_foreign_bytes = True
    #: ``outage`` gives a store whose backend can be stopped.
    can_be_stopped = False
    #: Rows of the tests of a great many: longer than any batch that a request may be cut into.
    #: Give fewer where every row is a request of its own.
    many = 40_000

    @pytest.fixture
    def store(self) -> Iterator[OnlineStore]:
        """An open and empty store; close it afterwards."""
        raise NotImplementedError("give the class a fixture named store")

    def raw_read(self, store: OnlineStore, key: bytes) -> bytes | None:
        """What the backend holds at ``key``, read without the store."""
        raise NotImplementedError

    def raw_write(self, store: OnlineStore, key: bytes, stored: bytes) -> None:
        """Put ``stored`` at ``key``, whatever is there, without the store."""
        raise NotImplementedError

    def opener(self, store: OnlineStore) -> Callable[[], OnlineStore]:
        """Opens the rows of ``store`` again; it is sent to other processes, so no closure."""
        raise NotImplementedError

    def outage(self) -> AbstractContextManager[tuple[OnlineStore, Callable[[], None]]]:
        """A store on a backend of its own, and what stops that backend."""
        raise NotImplementedError
