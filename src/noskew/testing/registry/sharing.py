"""Projects beside each other, and several callers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from noskew.definitions.project import Project
from noskew.errors import ConflictError
from noskew.registry.base import Registry
from noskew.registry.records.kinds import ASSIGNMENTS, UNCERTIFIED
from noskew.registry.records.record import Record
from noskew.registry.records.streaming import Assignments
from noskew.registry.records.views import Exemption
from noskew.registry.training_sets import SavedTrainingSet
from noskew.testing.registry.examples import delays, departures, numbered, text_of, whole
from noskew.testing.registry.suite import AT, RegistrySuite

_ROUNDS, _CALLERS = 6, 4


class SharingTests(RegistrySuite):
    """Projects do not see each other; of callers at once one is first."""

    def test_projects_know_nothing_of_each_other(self, registry: Registry) -> None:
        registry.apply("prod", whole(), base_version=0, applied_at=AT)
        registry.apply("staging", Project.of([departures()]), base_version=0, applied_at=AT)
        registry.apply("staging", Project(), base_version=1, applied_at=AT)
        saved = SavedTrainingSet("june", {}, "d", AT)
        registry.save_training_set("prod", saved)
        exemption = Record(UNCERTIFIED, "h", Exemption("delays", "ana"), AT)
        registry.put_record("prod", exemption)
        assert registry.projects() == ["prod", "staging"]
        assert registry.head("prod") == 1
        assert len(registry.definitions("prod")) == 5
        assert registry.definitions("staging") == []
        assert [v.version for v in registry.history("staging")] == [2, 1]
        assert registry.training_sets("staging") == []
        assert registry.training_sets("prod") == [saved]
        assert registry.records("staging", UNCERTIFIED) == []
        assert not registry.swap_record("staging", exemption, expected=exemption.value)
        assert registry.record("prod", UNCERTIFIED, "h") == exemption

    def test_records_and_training_sets_need_no_version(self, registry: Registry) -> None:
        registry.put_record("new", Record(UNCERTIFIED, "h", Exemption("delays", "ana"), AT))
        registry.save_training_set("new", SavedTrainingSet("june", {}, "d", AT))
        assert registry.projects() == []
        assert registry.apply("new", whole(), base_version=0, applied_at=AT).version == 1

    def test_of_threads_that_apply_at_once_one_succeeds(self, registry: Registry) -> None:
        barrier = Barrier(_CALLERS)

        def apply(caller: int) -> list[int]:
            won = []
            for base in range(_ROUNDS):
                barrier.wait(60)
                try:
                    registry.apply(
                        "flights", numbered(base + 1), base_version=base, applied_at=AT + caller
                    )
                    won.append(base + 1)
                except ConflictError:
                    pass
            return won

        with ThreadPoolExecutor(_CALLERS) as pool:
            winners = list(pool.map(apply, range(_CALLERS)))
        assert sorted(n for won in winners for n in won) == list(range(1, _ROUNDS + 1))
        assert [v.version for v in registry.history("flights")] == list(range(_ROUNDS, 0, -1))

    def test_no_swap_of_threads_is_lost(self, registry: Registry) -> None:
        """Each adds one to a count again and again; whoever is too late tries again."""

        def count(caller: int) -> None:
            name, rest = f"w{caller}", _ROUNDS
            while rest:
                record = registry.record("flights", ASSIGNMENTS, "s")
                before = None if record is None else record.value
                workers = before.workers if before else {}
                after = Assignments(workers | {name: workers.get(name, 0) + 1})
                new = Record(ASSIGNMENTS, "s", after, AT)
                rest -= registry.swap_record("flights", new, expected=before)

        with ThreadPoolExecutor(_CALLERS) as pool:
            list(pool.map(count, range(_CALLERS)))
        record = registry.record("flights", ASSIGNMENTS, "s")
        assert record is not None
        assert record.value.workers == {f"w{n}": _ROUNDS for n in range(_CALLERS)}

    def test_a_reader_sees_a_version_whole(self, registry: Registry) -> None:
        """Definitions and their data are of one version, while others apply."""
        with self.opener(registry)() as other, ThreadPoolExecutor(1) as pool:
            writing = pool.submit(_apply_all, other)
            last = 0
            while not writing.done():
                owners = {
                    d.data["owner"]
                    for d in registry.definitions("flights")
                    if d.name.startswith("changes")
                }
                assert len(owners) <= 1
                current = registry.current("flights")
                assert current.version >= last
                last = current.version
                if last:
                    assert text_of(current.project) == text_of(numbered(last))
            writing.result()
        assert registry.head("flights") == 3 * _ROUNDS

    def test_what_is_read_does_not_change(self, registry: Registry) -> None:
        registry.apply("flights", whole(), base_version=0, applied_at=AT)
        first = registry.current("flights")
        registry.apply("flights", whole(delays(owner="ana")), base_version=1, applied_at=AT)
        assert text_of(first.project) == text_of(whole())
        assert registry.current("flights").project.views["delays"].owner == "ana"


def _apply_all(registry: Registry) -> None:
    for base in range(3 * _ROUNDS):
        registry.apply("flights", numbered(base + 1), base_version=base, applied_at=AT)
