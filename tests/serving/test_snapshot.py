"""What a server compiles, when, and what of it a new version takes over."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import noskew as ns
from noskew.clock import FixedClock
from noskew.errors import DefinitionError, NotFoundError
from noskew.serving.http import backend as backends
from noskew.serving.http import feast, metrics, pages
from noskew.serving.http import snapshot as snapshots
from noskew.serving.http.backend import Backend
from noskew.serving.http.compiled import CompiledService

CLOCK = FixedClock("2024-01-01T00:00:00Z")
USER = ns.Entity("user", {"user": int})
EVENTS = ns.Source("events", {"user": int, "at": "timestamp", "x": float}, event_time="at")


def view(name: str, **options: object) -> ns.FeatureView:
    features = [ns.sum("x", window="1h", name=f"{name}_x")]
    return ns.FeatureView(name, entity=USER, source=EVENTS, features=features, **options)


def services(*, window: str = "1h", owner: str = "") -> list[ns.FeatureService]:
    """``one`` reads the view a, ``two`` a and b, ``three`` b; options are those of b."""
    a = view("a")
    b = ns.FeatureView(
        "b", entity=USER, source=EVENTS, owner=owner, features=[ns.count(window=window)]
    )
    named = {"one": [a], "two": [a, b], "three": [b]}
    return [ns.FeatureService(name, views) for name, views in named.items()]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ns.FeatureStore]:
    with ns.FeatureStore(tmp_path, project="p", clock=CLOCK) as store:
        store.apply(services(), uncertified=True)
        yield store


@pytest.fixture
def backend(store: ns.FeatureStore, tmp_path: Path) -> Iterator[Backend]:
    server = Backend(tmp_path, store.config, CLOCK)
    yield server
    server.close()


def compiled(backend: Backend) -> set[str]:
    snapshot = backend.snapshot()
    return {name for name in snapshot.services if snapshot.ready(name) is not None}


def test_a_small_project_is_compiled_before_its_first_request(backend: Backend) -> None:
    backend.start()
    assert compiled(backend) == {"one", "two", "three"}


def test_what_the_time_did_not_suffice_for_is_compiled_on_first_use(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "PREPARE_S", -1.0)
    backend.start()
    snapshot = backend.snapshot()
    assert compiled(backend) == set()
    assert set(snapshot.services) == {"one", "two", "three"}
    service = asyncio.run(snapshot.service_async("two"))
    assert compiled(backend) == {"two"}
    assert snapshot.service("two") is service is snapshot.ready("two")
    assert service.reader.get({"user": [1]}).to_dict() == {
        "user": [1],
        "a_x": [None],
        "count_1h": [0],
    }
    assert snapshot.definition("one").name == "one"
    assert compiled(backend) == {"two"}
    with pytest.raises(NotFoundError, match="one, three, two"):
        snapshot.service("four")


@pytest.mark.parametrize(
    "asked",
    [
        {"features": ["a:a_x", "b:count_1h"]},
        {"feature_service": "two"},
        {"feature_service": "two", "full_feature_names": True},
    ],
)
def test_what_feasts_route_asks_for_is_compiled_once_and_beside_the_event_loop(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    compiling: list[threading.Thread] = []

    class Noted(CompiledService):
        def __init__(self, *args: Any, **options: Any) -> None:
            compiling.append(threading.current_thread())
            super().__init__(*args, **options)

    monkeypatch.setattr(snapshots, "CompiledService", Noted)
    monkeypatch.setattr(backends, "PREPARE_S", -1.0)
    backend.start()
    request = feast.parse(orjson.dumps({"entities": {"user": [1]}, **asked}))

    async def ask() -> list[CompiledService]:
        snapshot = backend.snapshot()
        return await asyncio.gather(*(feast.service_of(request, snapshot) for _ in range(3)))

    first, *others = asyncio.run(ask())
    assert all(other is first for other in others)
    assert len(compiling) == 1 + ("full_feature_names" in asked)  # and what is renamed
    assert threading.main_thread() not in compiling
    assert [name.removeprefix("a__").removeprefix("b__") for name in first.plan.names] == [
        "a_x",
        "count_1h",
    ]


def test_features_that_nobody_has_are_refused_each_time(backend: Backend) -> None:
    backend.start()
    request = feast.parse(b'{"features": ["a:b_x"], "entities": {"user": [1]}}')
    for _ in range(2):
        with pytest.raises(NotFoundError, match="a_x"):
            asyncio.run(feast.service_of(request, backend.snapshot()))


def test_a_new_version_takes_over_what_did_not_change(
    backend: Backend, store: ns.FeatureStore
) -> None:
    backend.start()
    before = backend.snapshot()
    store.apply(services(window="2h"), uncertified=True)
    backend.refresh()
    after = backend.snapshot()
    assert after.version == before.version + 1
    assert compiled(backend) == {"one", "two", "three"}
    assert after.ready("one") is before.ready("one")
    for name in ("two", "three"):
        assert after.ready(name) is not before.ready(name)
        assert "count_2h" in after.service(name).plan.names
        assert "count_1h" in before.service(name).plan.names


def test_what_people_read_is_of_the_new_version_too(
    backend: Backend, store: ns.FeatureStore
) -> None:
    backend.start()
    before = backend.snapshot()
    store.apply(services(owner="ana"), uncertified=True)
    backend.refresh()
    after = backend.snapshot()
    assert after.ready("one") is before.ready("one")
    assert after.definition("three").views[0].owner == "ana"
    assert after.service("three").service.views[0].owner == "ana"


def test_only_what_was_asked_is_compiled_for_a_new_version(
    backend: Backend, store: ns.FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "PREPARE_S", -1.0)
    backend.start()
    backend.snapshot().service("two")
    monkeypatch.setattr(backends, "PREPARE_S", 60.0)
    store.apply(services(window="2h"), uncertified=True)
    backend.refresh()
    assert compiled(backend) == {"two"}


def test_a_service_that_cannot_be_loaded_leaves_the_others_their_document(
    backend: Backend, store: ns.FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, late = view("a"), view("b", late="table")
    store.apply([ns.FeatureService("one", [a]), ns.FeatureService("bad", [late])], uncertified=True)
    monkeypatch.setattr("noskew.definitions.view.LATE_POLICIES", ("fold",))
    monkeypatch.setattr(backends, "PREPARE_S", -1.0)
    backend.start()
    paths = orjson.loads(pages._document(backend.snapshot(), store.config.serve))["paths"]
    assert "/features/one" in paths
    assert "/features/bad" not in paths
    with pytest.raises(DefinitionError, match="can no longer be loaded"):
        backend.snapshot().service("bad")
    assert set(backend.snapshot().services) == {"one"}


def test_a_meter_that_nobody_flushes_keeps_a_bounded_number_of_times() -> None:
    meter = metrics.Metrics().meter("features", "one")
    for _ in range(3 * metrics._MOST_TIMES + 5):
        meter.add(2, 0.0)
    assert len(meter._times) == 5
    assert meter.total == 3 * metrics._MOST_TIMES + 5


def test_versions_that_were_taken_over_are_gone(backend: Backend, store: ns.FeatureStore) -> None:
    """Without the collector, which does not look at what a server holds for long."""
    backend.start()
    gc.collect()
    gc.disable()
    try:
        gone = []
        for number in range(3):
            snapshot = backend.snapshot()
            gone += [weakref.ref(snapshot), weakref.ref(snapshot.definitions.services)]
            del snapshot
            store.apply(services(window=f"{number + 2}h"), uncertified=True)
            backend.refresh()
            assert len(compiled(backend)) == 3
        assert [ref() for ref in gone] == [None] * len(gone)
    finally:
        gc.enable()


def test_a_service_that_goes_is_gone(backend: Backend, store: ns.FeatureStore) -> None:
    backend.start()
    store.apply(services()[:1], uncertified=True)
    backend.refresh()
    assert set(backend.snapshot().services) == {"one"}
    with pytest.raises(NotFoundError):
        backend.snapshot().service("two")
