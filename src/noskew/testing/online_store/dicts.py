"""A store and a dict that are told the same."""

from __future__ import annotations

from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from noskew.stores.online.base import OnlineStore
from noskew.testing.online_store.rows import EDGES, LARGEST_VERSION, row
from noskew.testing.online_store.suite import OnlineStoreSuite


class DictTests(OnlineStoreSuite):
    """Whatever is done in whatever order."""

    def test_it_behaves_as_a_dict_that_keeps_the_greater_version(self, store: OnlineStore) -> None:
        numbers = count()

        class Machine(_StoreBesideDict):
            def __init__(self) -> None:
                super().__init__(store, b"%d/" % next(numbers))

        run_state_machine_as_test(Machine, settings=settings(deadline=None, stateful_step_count=25))


_keys = st.sampled_from([b"a", b"b", b"ab", b"\xff", b"\x00", b"*", b"{a}b"]) | st.binary(
    min_size=1, max_size=6
)
_versions = st.integers(0, 4) | st.sampled_from(EDGES) | st.integers(0, LARGEST_VERSION)
_batches = st.lists(st.tuples(_keys, _versions), max_size=12)


class _StoreBesideDict(RuleBasedStateMachine):
    """A store and a dict are told the same; they must never be told apart.

    ``space`` starts every key, so that each run begins empty without a new store.
    """

    def __init__(self, store: OnlineStore, space: bytes) -> None:
        super().__init__()
        self.store = store
        self.space = space
        self.model: dict[bytes, int] = {}

    @rule(batch=_batches)
    def write(self, batch: list[tuple[bytes, int]]) -> None:
        before = dict(self.model)
        for key, version in batch:
            if version > self.model.get(key, -1):
                self.model[key] = version
        changed = self.store.write(
            [self.space + key for key, _ in batch],
            # Rows of one key and version are equal, as the contract takes them to be.
            [row(version, key * 3) for key, version in batch],
        )
        assert changed == sum(before.get(key) != version for key, version in self.model.items())

    @rule(keys=st.lists(_keys, max_size=5))
    def delete(self, keys: list[bytes]) -> None:
        there = {key for key in keys if key in self.model}
        assert self.store.delete([self.space + key for key in keys]) == len(there)
        for key in there:
            del self.model[key]

    @rule(keys=st.lists(_keys, max_size=8))
    def read(self, keys: list[bytes]) -> None:
        rows = self.store.read([self.space + key for key in keys])
        assert rows == [self._row(key) for key in keys]

    @rule(prefix=_keys | st.just(b""))
    def scan(self, prefix: bytes) -> None:
        items = list(self.store.scan(self.space + prefix))
        wanted = [(self.space + k, self._row(k)) for k in self.model if k.startswith(prefix)]
        assert sorted(items) == sorted(wanted, key=lambda item: item[0])

    @invariant()
    def holds_the_same(self) -> None:
        keys = list(self.model)
        rows = self.store.read([self.space + key for key in keys])
        assert rows == [self._row(key) for key in keys]

    def _row(self, key: bytes) -> bytes | None:
        version = self.model.get(key)
        return None if version is None else row(version, key * 3)
