"""What every offline store must do: a suite to subclass, usable by authors of other stores.

Enrol a backend in a few lines::

    class TestMyStore(OfflineStoreTests):
        @pytest.fixture
        def store(self, tmp_path):
            with MyStore(tmp_path) as store:
                yield store

        def reopen(self, store):
            return MyStore(...)  # another handle on the same data, as a new process has it

``read_raw`` looks at the files with an engine of their own, so that writing and reading are
each judged alone. Data is made by plain loops that share no code with any store.
"""

from __future__ import annotations

from noskew.testing.offline_store.appends import AppendTests
from noskew.testing.offline_store.facts import TIME, bits, facts, listed, simple
from noskew.testing.offline_store.notes import NoteTests
from noskew.testing.offline_store.snapshots import SnapshotTests
from noskew.testing.offline_store.tables import TableTests

__all__ = ["TIME", "OfflineStoreTests", "bits", "facts", "listed", "simple"]


class OfflineStoreTests(TableTests, AppendTests, NoteTests, SnapshotTests):
    """The suite. Subclass it, name the class ``Test...``, give the abstract parts."""
