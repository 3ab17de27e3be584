"""Materialize works through a table some entities at a time; nobody can tell by the result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

import noskew as ns
from noskew.config import Config, OfflineConfig, OnlineConfig
from noskew.kernel import bulk

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
SOURCE = ns.Source(
    "readings",
    {"origin": str, "runway": int, "read_at": "timestamp", "wind": float, "note": str, "wet": bool},
    event_time="read_at",
    created="read_at",
)
VIEW = ns.FeatureView(
    "weather",
    entity=ns.Entity("runway", {"origin": str, "runway": int}),
    source=SOURCE,
    features=["wind", "note", "wet", ns.count(window="1h"), ns.max("wind", window=["1h", "1d"])],
)
SERVICE = ns.FeatureService("model", [VIEW])


def events(seed: int, n: int) -> list[dict[str, Any]]:
    random = Random(seed)
    return [
        {
            "origin": random.choice(["A", "BB", "Ç", "DDDD", ""]),
            "runway": random.randrange(-3, 9),
            "read_at": NOON - timedelta(minutes=random.randrange(3_000)),
            "wind": random.choice([None, random.random()]),
            "note": random.choice([None, "", "gusts"]),
            "wet": random.choice([None, True, False]),
        }
        for _ in range(n)
    ]


@pytest.mark.parametrize("online", ["lmdb:///online", "memory://"])
def test_the_size_of_the_parts_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, online: str
) -> None:
    found = []
    seen: list[tuple[str, int]] = []

    def told(name: str, rows: int) -> None:
        seen.append((name, rows))

    for number, size in enumerate((1, 7, 1 << 20)):
        monkeypatch.setattr(bulk, "PART_EVENTS", size)
        config = Config(
            project="flights",
            offline=OfflineConfig(buckets=2),
            online=OnlineConfig(url=online),
        )
        root = tmp_path / str(number)
        root.mkdir()
        with ns.FeatureStore(root, config=config, clock=ns.FixedClock(NOON)) as store:
            store.apply(SERVICE)
            for seed in (1, 2):  # two files in each bucket, whose entities interleave
                store.ingest("readings", events(seed, 150))
            (done,) = store.materialize(progress=told)
            assert sum(rows for _, rows in seen) == 300 * (number + 1)
            found.append((done.entities, done.changed, sorted(store.online.scan())))
    assert found[0] == found[1] == found[2]
    assert (
        found[0][0]
        == found[0][1]
        == len({(e["origin"], e["runway"]) for seed in (1, 2) for e in events(seed, 150)})
    )


def test_only_entities_with_new_facts_are_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PART_EVENTS", 10)
    with ns.FeatureStore(tmp_path, project="flights", clock=ns.FixedClock(NOON)) as store:
        store.apply(SERVICE)
        store.ingest("readings", events(1, 150))
        store.materialize()
        late = [{**e, "note": "late"} for e in events(3, 4)]
        store.ingest("readings", late)
        (done,) = store.materialize()
        assert done.entities == done.changed == len({(e["origin"], e["runway"]) for e in late})
        (again,) = store.materialize()
        assert (again.entities, again.changed) == (0, 0)
        asked = [{k: e[k] for k in ("origin", "runway")} for e in [*events(1, 150), *late]]
        stepwise = store.get_online_features("model", asked).to_dict()
        (whole,) = store.materialize(full=True)
        assert whole.entities == len({(e["origin"], e["runway"]) for e in asked})
        assert store.get_online_features("model", asked).to_dict() == stepwise
