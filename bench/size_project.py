"""A project of the size that noskew is for: 2,000 views of 50 teams, and 1,000 services.

It is written as its teams would write it: a file for each, in ``features/``, on common ground
in ``features/ground.py``. Nothing in it is random: the same shape gives the same bytes. Of a
source's views every other one has a SELECT; a view has four features, and a service reads all of
five views of its team.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

KEY, TIME = "user_id", "happened_at"
START = 1_735_689_600_000_000  # 2025-01-01
ENTITIES = 1_000
_VIEWS_OF_A_SERVICE = 5
_FEATURES = 4
_STATUSES = ("paid", "sent", "returned", "lost")


@dataclass(frozen=True)
class ProjectSize:
    """How much of everything; each number is a whole multiple of the one before it."""

    teams: int
    sources: int
    views: int
    services: int

    @property
    def text(self) -> str:
        features = _VIEWS_OF_A_SERVICE * _FEATURES
        return (
            f"{self.views:,} views of {self.teams} teams on {self.sources} sources (half of them "
            f"SQL), {self.services:,} services of {features} features, LMDB and SQLite"
        )

    @property
    def sources_of_a_team(self) -> int:
        return self.sources // self.teams

    @property
    def views_of_a_source(self) -> int:
        return self.views // self.sources

    @property
    def services_of_a_team(self) -> int:
        return self.services // self.teams


MISSION = ProjectSize(teams=50, sources=100, views=2_000, services=1_000)
TENTH = ProjectSize(teams=5, sources=10, views=200, services=100)
HANDFUL = ProjectSize(teams=1, sources=1, views=6, services=3)


def write(root: Path, size: ProjectSize) -> None:
    """Write the project's files into a directory that is not there yet, or replace it."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "features").mkdir(parents=True)
    (root / "noskew.toml").write_text('project = "size"\n', encoding="utf-8")
    (root / "features" / "ground.py").write_text(_ground(size), encoding="utf-8")
    for team in range(size.teams):
        write_team(root, size, team)


def write_team(root: Path, size: ProjectSize, team: int, change: int = 0) -> None:
    """Write one team's file; each ``change`` but 0 gives its first view another extra feature.

    One service reads that view.
    """
    text = "\n".join(_team(size, team, change))
    path = root / "features" / f"team_{team:02}.py"
    path.write_text(text, encoding="utf-8")
    # Byte code is taken for that of a file of equal size and second; changes come faster here.
    written = path.stat().st_mtime + change
    os.utime(path, (written, written))


def source_name(number: int) -> str:
    return f"source_{number:03}"


def service_name(team: int, number: int = 0) -> str:
    return f"service_{team:02}_{number:02}"


def events(rows: int, batch: int) -> pa.Table:
    """Events of any one source: those of each batch are later than those of the one before."""
    rng = np.random.default_rng(batch)
    when = START + (batch * rows + np.arange(rows)) * 1_000_000
    return pa.table(
        {
            KEY: rng.integers(0, ENTITIES, rows),
            TIME: pa.array(when).view(pa.timestamp("us", "UTC")),
            "amount": rng.random(rows),
            "items": rng.integers(1, 10, rows),
            "status": pa.array(_STATUSES).take(pa.array(rng.integers(0, len(_STATUSES), rows))),
        }
    )


def _ground(size: ProjectSize) -> str:
    sources = "\n".join(
        f'{source_name(n)} = ns.Source("{source_name(n)}", COLUMNS, event_time="{TIME}")'
        for n in range(size.sources)
    )
    return f'''"""Who is described, and where events come from."""

import noskew as ns

COLUMNS = {{
    "{KEY}": int, "{TIME}": "timestamp", "amount": float, "items": int, "status": str,
}}
user = ns.Entity("user", keys={{"{KEY}": int}})
{sources}
'''


def _team(size: ProjectSize, team: int, change: int) -> Iterator[str]:
    first = team * size.sources_of_a_team
    sources = range(first, first + size.sources_of_a_team)
    yield f'"""What team {team} defines."""\n'
    yield "import noskew as ns"
    yield f"from features.ground import {', '.join(map(source_name, sources))}, user\n"
    views = []
    for source in sources:
        for number in range(size.views_of_a_source):
            view = f"view_{source:03}_{number:02}"
            extra = change if not views else 0
            yield _view(view, source, number, extra)
            views.append(view)
    for number in range(size.services_of_a_team):
        chosen = [views[(number + i) % len(views)] for i in range(_VIEWS_OF_A_SERVICE)]
        name = service_name(team, number)
        features = ", ".join(
            f"{view}[{', '.join(repr(f'{view}_{feature}') for feature in _NAMES)}]"
            for view in chosen
        )
        yield f'{name} = ns.FeatureService("{name}", [{features}], owner="team {team}")'
    yield ""


_NAMES = ("mean_1h", "sum_7d", "count_1d", "status")


def _view(name: str, source: int, number: int, change: int) -> str:
    # Half of the views, and no two of them the same.
    transform = (
        f"""
    transform=ns.sql(
        "SELECT {KEY}, {TIME}, items, coalesce(status, 'none') AS status, "
        "CASE WHEN items > {number} THEN amount * {number + 2} ELSE amount END AS amount "
        "FROM {source_name(source)} WHERE amount >= 0 AND status <> 'test'"
    ),"""
        if number % 2
        else ""
    )
    extra = f'\n        ns.max("amount", window="{change}h", name="{name}_max"),' if change else ""
    return f'''{name} = ns.FeatureView(
    "{name}", entity=user, source={source_name(source)},{transform}
    features=[
        ns.mean("amount", window="1h", name="{name}_mean_1h"),
        ns.sum("amount", window="7d", name="{name}_sum_7d"),
        ns.count(window="1d", name="{name}_count_1d"),
        ns.last_value("status", window="30d", name="{name}_status"),{extra}
    ],
    description="View {number} of source {source}.", owner="team",
)'''
