"""The project of the mission's size: its numbers, and that the same shape gives the same files."""

from __future__ import annotations

from pathlib import Path

import noskew as ns
from bench import size_project
from bench.size_project import MISSION, ProjectSize

SMALL = ProjectSize(teams=2, sources=2, views=12, services=4)


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*.*")
        if path.suffix in (".py", ".toml")
    }


def test_the_mission_is_two_thousand_views_and_a_thousand_services() -> None:
    assert (MISSION.teams, MISSION.sources, MISSION.views, MISSION.services) == (
        50,
        100,
        2_000,
        1_000,
    )
    assert MISSION.views_of_a_source == 20


def test_a_project_has_what_its_size_says(tmp_path: Path) -> None:
    size_project.write(tmp_path, SMALL)
    with ns.FeatureStore(tmp_path) as store:
        project = store.load()
    assert len(project.sources) == SMALL.sources
    assert len(project.views) == SMALL.views
    assert len(project.services) == SMALL.services
    assert sum(view.transform is not None for view in project.views.values()) == SMALL.views / 2
    assert {len(service.columns) for service in project.services.values()} == {20}


def test_the_same_size_gives_the_same_files(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        size_project.write(tmp_path / folder, SMALL)
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_a_change_is_of_one_view_and_its_service_and_breaks_nobody(tmp_path: Path) -> None:
    size_project.write(tmp_path, SMALL)
    with ns.FeatureStore(tmp_path) as store:
        store.apply(uncertified=True)
        for change in (1, 2):
            size_project.write_team(tmp_path, SMALL, team=1, change=change)
            plan = store.plan()
            changed = [c for c in plan.changes if c.action != "unchanged"]
            assert [c.name for c in changed] == ["view_001_00", "service_01_00"]
            assert not plan.breaking
            store.apply(uncertified=True)


def test_events_of_a_later_batch_are_later() -> None:
    first, second = size_project.events(100, 0), size_project.events(100, 1)
    times = [batch.column(size_project.TIME).to_pylist() for batch in (first, second)]
    assert times[0] == sorted(times[0])
    assert times[0][-1] < times[1][0]
    assert first.equals(size_project.events(100, 0))
