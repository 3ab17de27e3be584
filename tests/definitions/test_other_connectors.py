"""Connectors of somebody else: declared, kept by the registry, read back and opened."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import noskew as ns
from noskew.definitions import connectors
from noskew.errors import DefinitionError
from tests.distributions import install

CODE = """
from dataclasses import dataclass
from typing import ClassVar
import pyarrow as pa
from noskew.definitions.connectors import Connector, Stream
from noskew.stores.log.local import LocalLog
from noskew.stores.sources import FrameSource

@dataclass(frozen=True, slots=True)
class Crate(Connector):
    label: str
    at: tuple[int, ...] = ()
    kind: ClassVar[str] = "crate"

    def __post_init__(self):
        object.__setattr__(self, "at", tuple(self.at))

@dataclass(frozen=True, slots=True)
class Belt(Stream):
    speed: int = 1
    kind: ClassVar[str] = "belt"

class Undeclared(Crate):
    kind: ClassVar[str] = "undeclared"

def open_crate(label, at):
    when = pa.array(at, pa.timestamp("us", "UTC"))
    return FrameSource(pa.table({"user": pa.array([1] * len(at)), "at": when}))

def open_belt(options, *, directory, clock):
    return LocalLog(directory / f"speed-{options['speed']}", partitions=1, clock=clock)
"""
ENTRY_POINTS = """
[noskew.connectors]
crate = crate_store:Crate
belt = crate_store:Belt
parquet = crate_store:Crate
misnamed = crate_store:Crate
function = crate_store:open_crate
absent = crate_store:Absent

[noskew.sources]
crate = crate_store:open_crate

[noskew.logs]
belt = crate_store:open_belt
"""
USER = ns.Entity("user", {"user": int})


@pytest.fixture
def crate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of a distribution that declares and opens the kinds ``crate`` and ``belt``."""
    site = tmp_path / "site"
    site.mkdir()
    install(site, "crate", ENTRY_POINTS, CODE)
    monkeypatch.syspath_prepend(str(site))
    import crate_store  # type: ignore[import-not-found]

    yield crate_store
    del sys.modules["crate_store"]
    connectors._other.cache_clear()


def view_of(**where: connectors.Connector) -> ns.FeatureView:
    source = ns.Source("clicks", {"user": int, "at": "timestamp"}, event_time="at", **where)
    return ns.FeatureView("seen", entity=USER, source=source, features=[ns.count()])


def test_what_is_applied_is_read_back_and_ingested(tmp_path: Path, crate: ModuleType) -> None:
    declared = crate.Crate("left", at=(1_000_000, 2_000_000))
    clock = ns.FixedClock(3_000_000)
    with ns.FeatureStore(tmp_path, project="shop", clock=clock) as store:
        store.apply([ns.FeatureService("model", [view_of(batch=declared)])])
    with ns.FeatureStore(tmp_path, project="shop", clock=clock) as store:
        assert store.applied.project.source("clicks").batch == declared
        (report,) = store.ingest()
        assert report.rows == 2


def test_a_stream_is_opened_by_its_kind(tmp_path: Path, crate: ModuleType) -> None:
    with ns.FeatureStore(tmp_path, project="shop") as store:
        store.apply([ns.FeatureService("model", [view_of(stream=crate.Belt(speed=3))])])
        source = store.applied.project.source("clicks")
        assert source.stream == crate.Belt(speed=3)
        assert store.logs.of(source).partitions == 1
    assert [*tmp_path.rglob("speed-3")]


def test_one_that_could_not_be_read_back_is_not_applied(tmp_path: Path, crate: ModuleType) -> None:
    with ns.FeatureStore(tmp_path, project="shop") as store:
        service = ns.FeatureService("model", [view_of(batch=crate.Undeclared("left"))])
        with pytest.raises(DefinitionError, match="'undeclared', which no installed distribution"):
            store.apply([service], uncertified=True)
        assert store.applied.version == 0


@pytest.mark.usefixtures("crate")
class TestReadBack:
    def test_ours_cannot_be_taken_over(self) -> None:
        assert connectors.from_dict({"kind": "parquet", "path": "x"}) == ns.Parquet("x")

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            ({"kind": "crates", "label": "x"}, "Did you mean 'crate'"),
            ({"kind": "misnamed", "label": "x"}, "no Connector of that kind"),
            ({"kind": "function", "label": "x"}, "no Connector of that kind"),
            ({"kind": "absent"}, "'crate_store:Absent' of crate-store, which cannot be loaded"),
            ({"kind": "crate", "label": "x", "color": "red"}, "connector 'crate': .*'color'"),
        ],
    )
    def test_what_cannot_be_is_a_fault_of_the_definition(
        self, data: dict[str, str], why: str
    ) -> None:
        with pytest.raises(DefinitionError, match=why):
            connectors.from_dict(data)
