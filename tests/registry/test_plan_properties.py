from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from noskew.definitions.identity import canonical_json
from noskew.definitions.project import Project
from noskew.registry.lineage import lineage
from noskew.registry.plan import plan
from noskew.registry.sql.registry import SqlRegistry
from noskew.registry.versions import Version, decode_project, encode_project, hashes_of
from noskew.testing.registry.examples import text_of
from tests.registry.strategies import projects


@given(project=projects())
def test_a_project_survives_json(project: Project) -> None:
    document, digest = encode_project(project)
    again = decode_project(document, Version(1, 0, "", "", digest), "flights")
    assert text_of(again.project) == text_of(project)
    assert again.hashes == hashes_of(project) == hashes_of(again.project)
    assert encode_project(again.project) == (document, digest)


@given(project=projects())
def test_a_project_differs_from_itself_in_nothing(project: Project) -> None:
    found = plan(project, project)
    assert found.is_empty
    assert not found.breaking
    assert not found.backfills
    assert "nothing to do" in found.summary()


@given(old=projects(), new=projects())
def test_every_difference_is_told_and_only_those(old: Project, new: Project) -> None:
    found = plan(old, new)
    same = canonical_json(old.to_dict()) == canonical_json(new.to_dict())
    assert found.is_empty == same
    before, after = hashes_of(old), hashes_of(new)
    for change in found.changes:
        if change.action == "unchanged":
            assert before[change.kind][change.name] == after[change.kind][change.name]
            assert change.backfill == "none"
        else:
            assert change.reasons
        if change.breaking:
            assert change.action in ("changed", "removed")
        if change.kind == "feature_view" and change.action != "removed":
            fresh = after["log"][change.name] not in before["log"].values()
            assert (change.backfill == "log") == fresh


@given(old=projects(), new=projects())
def test_a_service_answers_as_before_unless_told(old: Project, new: Project) -> None:
    """Stated from the outside: what a caller sends and gets, before and after."""
    found = plan(old, new)
    for name, before in old.services.items():
        after = new.services.get(name)
        change = found.of("feature_service", name)
        assert change is not None
        if after is None:
            assert change.breaking
            continue
        types = {c.name: c.dtype for c in after.columns}
        kept = all(types.get(c.name) == c.dtype for c in before.columns)
        sent = dict(before.join_keys) == dict(after.join_keys)
        sent = sent and dict(before.request) == dict(after.request)
        if not (kept and sent):
            assert change.breaking


@given(project=projects())
def test_lineage_of_any_project(project: Project) -> None:
    edges = lineage(project)
    made = {(e.target.owner, e.target.name) for e in edges if e.target.kind == "feature"}
    assert made == {(v.name, f) for v in project.views.values() for f in v.features}
    for edge in edges:
        if edge.origin.kind == "column":
            assert edge.origin.name in project.sources[edge.origin.owner].schema


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRegistry]:
    path: Path = tmp_path_factory.mktemp("registry") / "registry.db"
    with SqlRegistry(f"sqlite:///{path}") as opened:
        yield opened


@given(desired=projects())
@settings(max_examples=25)
def test_apply_reaches_what_was_desired(shared: SqlRegistry, desired: Project) -> None:
    """From whatever the example before left behind."""
    held = shared.current("flights")
    applied = shared.apply("flights", desired, base_version=held.version, applied_at=1)
    assert applied.version == held.version + 1
    current = shared.current("flights")
    assert current.version == applied.version
    assert text_of(current.project) == text_of(desired)
    assert plan(current, desired).is_empty
    names = {(d.kind, d.name): dict(d.data) for d in shared.definitions("flights")}
    assert len(names) == sum(len(items) for items in desired.to_dict().values())
    assert shared.history("flights")[0] == current.entry
