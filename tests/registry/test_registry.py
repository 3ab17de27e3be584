from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

import noskew as ns
from noskew.definitions.identity import canonical_json
from noskew.definitions.project import Project
from noskew.errors import (
    ConflictError,
    CorruptDataError,
    DefinitionError,
    InputError,
    InvalidNameError,
    NotFoundError,
    RegistryError,
)
from noskew.registry.plan import plan
from noskew.registry.state import Materialization, Record, SavedTrainingSet
from noskew.registry.store import SqlRegistry
from noskew.registry.versions import encode_project
from tests.registry.examples import delays, departures, in_python, whole

Raw = Callable[[str], list[tuple[object, ...]]]
AT = 1_370_000_000_000_000


def test_a_project_that_nobody_applied(registry: SqlRegistry) -> None:
    current = registry.current("flights")
    assert (current.version, current.made, current.project) == (0, None, Project())
    assert registry.head("flights") == 0
    assert registry.history("flights") == []
    assert registry.projects() == []
    assert registry.definitions("flights") == []
    with pytest.raises(NotFoundError, match="no version 1; its current version is 0"):
        registry.version("flights", 1)


def test_versions_are_kept(registry: SqlRegistry, registry_url: str) -> None:
    first, second = whole(), whole(delays(description="o'clock; DROP TABLE x"))
    registry.apply(
        "flights", first, base_version=0, applied_at=AT, applied_by="ana", message="it's new"
    )
    applied = registry.apply("flights", second, base_version=1, applied_at=AT + 1)
    assert applied.version == 2
    with SqlRegistry(registry_url) as other:
        assert other.head("flights") == 2
        assert other.current("flights").project.to_dict() == second.to_dict()
        assert other.version("flights", 1).project.to_dict() == first.to_dict()
        newest, oldest = other.history("flights")
        assert newest == other.current("flights").made
        assert (oldest.version, oldest.applied_at) == (1, AT)
        assert (oldest.applied_by, oldest.message) == ("ana", "it's new")
        assert oldest.digest == encode_project(first)[1]
        assert other.projects() == ["flights"]
        assert plan(other.current("flights"), second).is_empty


def test_definitions_follow_the_current_version(registry: SqlRegistry) -> None:
    registry.apply("flights", whole(), base_version=0, applied_at=AT)
    found = {(d.kind, d.name): d for d in registry.definitions("flights")}
    assert set(found) == {
        ("entity", "airport"),
        ("source", "departures"),
        ("feature_view", "delays"),
        ("on_demand", "headwind"),
        ("feature_service", "delay_model"),
    }
    assert found["feature_view", "delays"].definition_hash == delays().definition_hash
    told = canonical_json(found["feature_view", "delays"].data)
    assert told == canonical_json(delays().to_dict())
    registry.apply("flights", Project.of([delays(owner="ana")]), base_version=1, applied_at=AT)
    assert [d.name for d in registry.definitions("flights")] == ["airport", "delays", "departures"]
    (view,) = registry.definitions("flights", "feature_view")
    assert view.data["owner"] == "ana"


def test_who_planned_from_an_older_version_is_refused(registry: SqlRegistry) -> None:
    registry.apply(
        "flights", whole(), base_version=0, applied_at=AT, applied_by="ana", message="first"
    )
    for base in (0, 2, 7):
        with pytest.raises(ConflictError) as refused:
            registry.apply("flights", Project(), base_version=base, applied_at=AT + 1)
        assert refused.value.retryable
        assert str(refused.value) == (
            "the project 'flights' is at version 1, applied by ana at 2013-05-31T11:33:20Z (first)"
            f", and this plan was made from version {base}; nothing was changed: plan again"
        )
    assert registry.current("flights").project.to_dict() == whole().to_dict()
    assert len(registry.history("flights")) == 1
    assert not issubclass(ConflictError, RegistryError)  # stores raise it, too
    with pytest.raises(ConflictError, match="'other' has no version"):
        registry.apply("other", whole(), base_version=3, applied_at=AT)
    assert registry.projects() == ["flights"]


def test_projects_know_nothing_of_each_other(registry: SqlRegistry) -> None:
    registry.apply("prod", whole(), base_version=0, applied_at=AT)
    registry.apply("staging", Project.of([departures()]), base_version=0, applied_at=AT)
    registry.apply("staging", Project(), base_version=1, applied_at=AT)
    run = Materialization("delays", "h", 10, 1, 5, AT, AT + 1)
    registry.record_materialization("prod", run)
    registry.save_training_set("prod", SavedTrainingSet("june", {}, "d", AT))
    registry.put_record("prod", Record("certificate", "h", {}, AT))
    assert registry.projects() == ["prod", "staging"]
    assert registry.head("prod") == 1
    assert len(registry.definitions("prod")) == 5
    assert registry.definitions("staging") == []
    assert [v.version for v in registry.history("staging")] == [2, 1]
    assert registry.last_materialization("prod", "delays", "h") == run
    assert registry.last_materialization("staging", "delays", "h") is None
    assert registry.training_sets("staging") == []
    assert registry.record("staging", "certificate", "h") is None


@pytest.mark.parametrize("name", ["../x", "a b", "o'clock", 'quo"te', "", "_mine", "a" * 129, None])
def test_names_that_could_leave_their_place(registry: SqlRegistry, name: str) -> None:
    run = Materialization("delays", "h", 10, 1, 5, AT)
    for use in (
        lambda: registry.current(name),
        lambda: registry.head(name),
        lambda: registry.version(name, 1),
        lambda: registry.history(name),
        lambda: registry.definitions(name),
        lambda: registry.apply(name, whole(), base_version=0, applied_at=AT),
        lambda: registry.record_materialization(name, run),
        lambda: registry.materializations(name),
        lambda: registry.training_set(name, "a"),
        lambda: registry.training_sets(name),
        lambda: registry.save_training_set(name, SavedTrainingSet("a", {}, "", AT)),
        lambda: registry.put_record(name, Record("a", "b", 1, AT)),
        lambda: registry.records(name, "a"),
    ):
        with pytest.raises(InvalidNameError):
            use()
    with pytest.raises(InvalidNameError):
        registry.save_training_set("flights", SavedTrainingSet(name, {}, "", AT))


def test_functions_that_cannot_be_imported_here(registry: SqlRegistry) -> None:
    desired = whole(delays(transform=in_python()))
    registry.apply("flights", desired, base_version=0, applied_at=AT)
    project = registry.current("flights").project
    assert project.to_dict() == desired.to_dict()
    assert "nowhere" not in sys.modules
    with pytest.raises(DefinitionError, match=r"nowhere\.at_all:headwind"):
        _ = project.on_demand["headwind"].call


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_no_database_takes(registry: SqlRegistry, text: str) -> None:
    with pytest.raises(InputError):
        registry.apply("flights", whole(), base_version=0, applied_at=AT, applied_by=text)
    with pytest.raises(InputError):
        registry.apply("flights", whole(), base_version=0, applied_at=AT, message=text)
    assert registry.head("flights") == 0


def test_definitions_that_json_cannot_hold(registry: SqlRegistry) -> None:
    with pytest.raises(DefinitionError, match="JSON"):
        registry.apply("p", whole(delays(owner="\ud800")), base_version=0, applied_at=AT)
    # NUL is text to JSON, written as an escape.
    desired = whole(delays(owner="a\0b"))
    registry.apply("p", desired, base_version=0, applied_at=AT)
    assert registry.current("p").project.views["delays"].owner == "a\0b"


@pytest.mark.parametrize("base", [-1, True, "1", None])
def test_a_base_that_is_no_version(registry: SqlRegistry, base: int) -> None:
    with pytest.raises(InputError, match="base_version"):
        registry.apply("flights", whole(), base_version=base, applied_at=AT)


def test_the_last_materialization(registry: SqlRegistry) -> None:
    def run(until: int, status: Any = "done", definition_hash: str = "h") -> Materialization:
        made = Materialization(
            "delays",
            definition_hash,
            until,
            2**40,
            3,
            AT,
            AT + 1,
            status,
            "x" * 9,
        )
        registry.record_materialization("flights", made)
        return made

    assert registry.last_materialization("flights", "delays", "h") is None
    run(30)
    last = run(20)
    run(40, "failed")
    run(50, "running")
    other = run(60, definition_hash="other")
    assert registry.last_materialization("flights", "delays", "h") == last
    assert registry.last_materialization("flights", "delays", "other") == other
    assert registry.last_materialization("flights", "weather", "h") is None
    assert [m.until for m in registry.materializations("flights")] == [60, 50, 40, 20, 30]
    assert [m.until for m in registry.materializations("flights", "delays", limit=2)] == [60, 50]
    with pytest.raises(InputError, match="status"):
        run(70, "maybe")


def test_training_sets(registry: SqlRegistry) -> None:
    june = SavedTrainingSet("june", {"known_at": None, "hashes": ["a", "b"]}, "d1", AT)
    may = SavedTrainingSet("may", {}, "d2", AT)
    registry.save_training_set("flights", june)
    registry.save_training_set("flights", may)
    registry.save_training_set("flights", SavedTrainingSet("june", dict(june.spec), "d1", AT + 9))
    assert registry.training_set("flights", "june") == june
    assert registry.training_sets("flights") == [june, may]
    changed = SavedTrainingSet("june", {}, "d3", AT)
    with pytest.raises(InputError, match="choose another name"):
        registry.save_training_set("flights", changed)
    assert registry.training_set("flights", "june") == june
    registry.save_training_set("flights", changed, replace=True)
    assert registry.training_set("flights", "june") == changed
    with pytest.raises(NotFoundError, match="Did you mean 'june'"):
        registry.training_set("flights", "jun")
    with pytest.raises(InputError, match="JSON"):
        registry.save_training_set("flights", SavedTrainingSet("x", {"a": object()}, "", AT))


def test_a_record_is_swapped_only_for_the_one_that_is_expected(registry: SqlRegistry) -> None:
    def swap(data: object, expected: object) -> bool:
        return registry.swap_record("flights", Record("claim", "p", data, AT), expected=expected)

    assert not swap({"by": "b"}, {"by": "a"}), "there is none yet"
    assert swap({"by": "a", "n": 1}, None)
    assert not swap({"by": "b"}, None)
    assert not swap({"by": "b"}, {"by": "a"})
    assert swap({"by": "b"}, {"n": 1, "by": "a"}), "the order of names says nothing"
    held = registry.record("flights", "claim", "p")
    assert held is not None
    assert held.data == {"by": "b"}


def test_records(registry: SqlRegistry) -> None:
    registry.put_record("flights", Record("certificate", "h1", {"rows": 5}, AT))
    registry.put_record("flights", Record("certificate", "h0", [1], AT))
    registry.put_record("flights", Record("audit", "h1", None, AT))
    registry.put_record("flights", Record("certificate", "h1", {"rows": 6}, AT + 1))
    assert registry.record("flights", "certificate", "h1") == Record(
        "certificate", "h1", {"rows": 6}, AT + 1
    )
    assert [r.key for r in registry.records("flights", "certificate")] == ["h0", "h1"]
    assert registry.record("flights", "certificate", "h2") is None
    for key in ("", "x" * 257, "a\0"):
        with pytest.raises(InputError, match="key"):
            registry.put_record("flights", Record("audit", key, 1, AT))


def test_a_forgotten_record_is_gone_and_others_stay(registry: SqlRegistry) -> None:
    for project, kind, key in (
        ("a", "x", "k"),
        ("a", "x", "other"),
        ("a", "y", "k"),
        ("b", "x", "k"),
    ):
        registry.put_record(project, Record(kind, key, 1, AT))
    for _ in range(2):  # an absent one is skipped
        registry.delete_record("a", "x", "k")
    assert registry.record("a", "x", "k") is None
    assert [r.key for r in registry.records("a", "x")] == ["other"]
    assert registry.record("a", "y", "k") is not None
    assert registry.record("b", "x", "k") is not None


def test_a_damaged_version_is_not_served(registry: SqlRegistry, raw: Raw) -> None:
    registry.apply("flights", whole(), base_version=0, applied_at=AT)
    raw("UPDATE noskew_version SET document = replace(document, 'mean', 'max')")
    with pytest.raises(CorruptDataError, match="does not match its digest"):
        registry.current("flights")
    raw("UPDATE noskew_version SET document = '{'")
    with pytest.raises(CorruptDataError, match="does not match its digest"):
        registry.version("flights", 1)
    raw("DELETE FROM noskew_version")
    with pytest.raises(CorruptDataError, match="lost"):
        registry.current("flights")


def test_a_registry_of_a_newer_noskew(registry: SqlRegistry, registry_url: str, raw: Raw) -> None:
    raw("UPDATE noskew_schema SET version = 99")
    with pytest.raises(RegistryError, match=r"schema version 99.*upgrade noskew"):
        SqlRegistry(registry_url)
    raw("DELETE FROM noskew_schema")
    with pytest.raises(CorruptDataError, match="0 schema versions"):
        SqlRegistry(registry_url)


def test_a_definition_that_todays_libraries_refuse(
    registry: SqlRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.apply("flights", whole(), base_version=0, applied_at=AT)
    monkeypatch.setattr("noskew.definitions.view.LATE_POLICIES", ("drop",))
    with pytest.raises(DefinitionError, match="version 1 of the project 'flights' can no longer"):
        registry.current("flights")
    # What can be discovered without loading it still is.
    assert len(registry.definitions("flights")) == 5


def test_a_view_added_to_what_is_there(registry: SqlRegistry) -> None:
    """The whole way: read, plan, apply, plan again."""
    registry.apply("flights", whole(), base_version=0, applied_at=AT)
    current = registry.current("flights")
    more = ns.FeatureView(
        "more", entity=delays().entity, source=departures(), features=[ns.count(window="1h")]
    )
    desired = Project.of([*current.project.services.values(), more])
    found = plan(current, desired)
    assert [c.name for c in found.changes if c.action != "unchanged"] == ["more"]
    registry.apply("flights", desired, base_version=found.base_version, applied_at=AT)
    assert plan(registry.current("flights"), desired).is_empty
