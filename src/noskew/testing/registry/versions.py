"""Versions of a project: what was applied is there, whole, and never changes."""

from __future__ import annotations

import sys
from collections.abc import Callable

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
from noskew.registry.base import Registry
from noskew.registry.plan import plan
from noskew.registry.records.kinds import CERTIFICATE
from noskew.registry.training_sets import SavedTrainingSet
from noskew.registry.versions import encode_project
from noskew.testing.registry.examples import delays, departures, in_python, text_of, whole_project
from noskew.testing.registry.suite import AT, RegistrySuite


class VersionTests(RegistrySuite):
    """Apply, and read back."""

    def test_a_project_that_nobody_applied(self, registry: Registry) -> None:
        current = registry.current("flights")
        assert (current.version, current.entry, current.project) == (0, None, Project())
        assert registry.head("flights") == 0
        assert registry.history("flights") == []
        assert registry.projects() == []
        assert registry.definitions("flights") == []
        with pytest.raises(NotFoundError, match="no version 1; its current version is 0"):
            registry.version("flights", 1)

    def test_versions_are_kept(self, registry: Registry) -> None:
        first, second = whole_project(), whole_project(delays(description="o'clock; DROP TABLE x"))
        registry.apply(
            "flights", first, base_version=0, applied_at=AT, applied_by="ana", message="it's new"
        )
        applied = registry.apply("flights", second, base_version=1, applied_at=AT + 1)
        assert applied.version == 2
        with self.opener(registry)() as other:
            assert other.head("flights") == 2
            assert text_of(other.current("flights").project) == text_of(second)
            assert other.current("flights").hashes == applied.hashes
            assert text_of(other.version("flights", 1).project) == text_of(first)
            newest, oldest = other.history("flights")
            assert newest == other.current("flights").entry
            assert (oldest.version, oldest.applied_at) == (1, AT)
            assert (oldest.applied_by, oldest.message) == ("ana", "it's new")
            assert oldest.digest == encode_project(first)[1]
            assert other.projects() == ["flights"]
            assert plan(other.current("flights"), second).is_empty
            with pytest.raises(NotFoundError, match="no version 3; its current version is 2"):
                other.version("flights", 3)

    def test_a_view_added_to_what_is_there(self, registry: Registry) -> None:
        """The whole way: read, plan, apply, plan again."""
        registry.apply("flights", whole_project(), base_version=0, applied_at=AT)
        current = registry.current("flights")
        more = ns.FeatureView(
            "more", entity=delays().entity, source=departures(), features=[ns.count(window="1h")]
        )
        desired = Project.of([*current.project.services.values(), more])
        planned = plan(current, desired)
        assert [c.name for c in planned.changes if c.action != "unchanged"] == ["more"]
        registry.apply("flights", desired, base_version=planned.base_version, applied_at=AT)
        assert plan(registry.current("flights"), desired).is_empty

    def test_functions_that_cannot_be_imported_here(self, registry: Registry) -> None:
        desired = whole_project(delays(transform=in_python()))
        registry.apply("flights", desired, base_version=0, applied_at=AT)
        project = registry.current("flights").project
        assert text_of(project) == text_of(desired)
        assert "nowhere" not in sys.modules
        with pytest.raises(DefinitionError, match=r"nowhere\.at_all:headwind"):
            _ = project.on_demand["headwind"].call

    # ---------------------------------------------------------------- discovery

    def test_definitions_follow_the_current_version(self, registry: Registry) -> None:
        registry.apply("flights", whole_project(), base_version=0, applied_at=AT)
        stored = {(d.kind, d.name): d for d in registry.definitions("flights")}
        assert list(stored) == [
            ("entity", "airport"),
            ("feature_service", "delay_model"),
            ("feature_view", "delays"),
            ("on_demand", "headwind"),
            ("source", "departures"),
        ]
        view = stored["feature_view", "delays"]
        assert view.definition_hash == delays().definition_hash
        assert canonical_json(view.data) == canonical_json(delays().to_dict())
        second = Project.of([delays(owner="ana")])
        registry.apply("flights", second, base_version=1, applied_at=AT)
        names = [d.name for d in registry.definitions("flights")]
        assert names == ["airport", "delays", "departures"]
        (view,) = registry.definitions("flights", "feature_view")
        assert view.data["owner"] == "ana"
        assert registry.definitions("flights", "on_demand") == []

    def test_a_definition_that_the_libraries_of_today_refuse(
        self, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.apply("flights", whole_project(), base_version=0, applied_at=AT)
        monkeypatch.setattr("noskew.definitions.view.LATE_POLICIES", ("drop",))
        with pytest.raises(DefinitionError, match="of the project 'flights' can no longer"):
            _ = registry.current("flights").project.views["delays"]
        # What can be discovered without loading it still is.
        assert len(registry.definitions("flights")) == 5

    def test_what_cannot_be_read_back_does_not_become_current(
        self, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.apply("flights", whole_project(), base_version=0, applied_at=AT)
        refused = whole_project(delays(late="table", owner="ana"))
        monkeypatch.setattr("noskew.definitions.view.LATE_POLICIES", ("fold",))
        with pytest.raises(DefinitionError, match="version 2 of the project 'flights' can no"):
            registry.apply("flights", refused, base_version=1, applied_at=AT)
        assert registry.head("flights") == 1
        assert registry.current("flights").project.views["delays"].owner == ""

    # ---------------------------------------------------------------- what is refused

    def test_who_planned_from_an_older_version_is_refused(self, registry: Registry) -> None:
        registry.apply(
            "flights",
            whole_project(),
            base_version=0,
            applied_at=AT,
            applied_by="ana",
            message="first",
        )
        for base in (0, 2, 7):
            with pytest.raises(ConflictError) as refused:
                registry.apply("flights", Project(), base_version=base, applied_at=AT + 1)
            assert refused.value.retryable
            assert str(refused.value) == (
                "the project 'flights' is at version 1, applied by ana at 2013-05-31T11:33:20Z "
                f"(first), and this plan was made from version {base}; nothing was changed: plan "
                "again"
            )
        assert text_of(registry.current("flights").project) == text_of(whole_project())
        assert len(registry.history("flights")) == 1
        assert not issubclass(ConflictError, RegistryError)  # stores raise it, too
        with pytest.raises(ConflictError, match="'other' has no version"):
            registry.apply("other", whole_project(), base_version=3, applied_at=AT)
        assert registry.projects() == ["flights"]

    @pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["nul", "surrogate"])
    def test_text_that_cannot_be_stored(self, registry: Registry, text: str) -> None:
        with pytest.raises(InputError):
            registry.apply(
                "flights", whole_project(), base_version=0, applied_at=AT, applied_by=text
            )
        with pytest.raises(InputError):
            registry.apply("flights", whole_project(), base_version=0, applied_at=AT, message=text)
        assert registry.head("flights") == 0

    def test_definitions_that_json_cannot_hold(self, registry: Registry) -> None:
        with pytest.raises(DefinitionError, match="JSON"):
            registry.apply(
                "p", whole_project(delays(owner="\ud800")), base_version=0, applied_at=AT
            )
        # NUL is text to JSON, written as an escape.
        desired = whole_project(delays(owner="a\0b"))
        registry.apply("p", desired, base_version=0, applied_at=AT)
        assert registry.current("p").project.views["delays"].owner == "a\0b"

    @pytest.mark.parametrize("base", [-1, True, "1", None])
    def test_a_base_that_is_no_version(self, registry: Registry, base: int) -> None:
        with pytest.raises(InputError, match="base_version"):
            registry.apply("flights", whole_project(), base_version=base, applied_at=AT)

    @pytest.mark.parametrize(
        "name", ["../x", "a b", "o'clock", 'quo"te', "", "_mine", "a" * 129, None]
    )
    def test_names_that_are_no_projects(self, registry: Registry, name: str) -> None:
        uses: tuple[Callable[[], object], ...] = (
            lambda: registry.current(name),
            lambda: registry.head(name),
            lambda: registry.version(name, 1),
            lambda: registry.history(name),
            lambda: registry.definitions(name),
            lambda: registry.apply(name, whole_project(), base_version=0, applied_at=AT),
            lambda: registry.training_set(name, "a"),
            lambda: registry.training_sets(name),
            lambda: registry.save_training_set(name, SavedTrainingSet("a", {}, "", AT)),
            lambda: registry.record(name, CERTIFICATE, "a"),
            lambda: registry.records(name, CERTIFICATE),
            lambda: registry.delete_record(name, CERTIFICATE, "a"),
        )
        for use in uses:
            with pytest.raises(InvalidNameError):
                use()

    # ---------------------------------------------------------------- damage

    def test_a_damaged_version_is_not_given(self, registry: Registry) -> None:
        registry.apply("flights", whole_project(), base_version=0, applied_at=AT)
        self.damage_versions(registry, "flights", "mean", "max")
        with pytest.raises(CorruptDataError, match="does not match its digest"):
            registry.current("flights")
        with pytest.raises(CorruptDataError, match="does not match its digest"):
            registry.version("flights", 1)
        self.damage_versions(registry, "flights", "{", "")
        with pytest.raises(CorruptDataError, match="does not match its digest"):
            registry.current("flights")
        self.damage_versions(registry, "flights", "", "")
        with pytest.raises(CorruptDataError, match="lost"):
            registry.current("flights")
