"""The tests every online store passes, for our backends and for yours.

Derive a class, give it a store and a way around it, and run it with pytest::

    class TestMyStore(OnlineStoreTests):
        can_be_stopped = False

        @pytest.fixture
        def store(self, tmp_path):
            with MyStore(tmp_path) as store:
                yield store

        def raw_read(self, store, key): ...
        def raw_write(self, store, key, row): ...
        def opener(self, store): return functools.partial(MyStore, store.path)

``raw_read`` and ``raw_write`` bypass the store (they use the client library of the backend), so
that reading and writing are each tested on their own, and not only against each other.
"""

from __future__ import annotations

from noskew.testing.online_store.abilities import AbilityTests
from noskew.testing.online_store.dicts import DictTests
from noskew.testing.online_store.keys import KeyTests
from noskew.testing.online_store.lifetime import LifetimeTests
from noskew.testing.online_store.limits import LimitTests
from noskew.testing.online_store.loads import LoadTests
from noskew.testing.online_store.reads import ReadTests
from noskew.testing.online_store.rows import batch_of, row, version_of
from noskew.testing.online_store.sharing import SharingTests
from noskew.testing.online_store.versions import VersionTests

__all__ = ["OnlineStoreTests", "batch_of", "row", "version_of"]


class OnlineStoreTests(
    ReadTests,
    VersionTests,
    LoadTests,
    KeyTests,
    LimitTests,
    AbilityTests,
    SharingTests,
    LifetimeTests,
    DictTests,
):
    """What :class:`noskew.stores.online.base.OnlineStore` promises, as tests."""
