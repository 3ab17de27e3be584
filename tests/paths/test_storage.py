"""Stores chosen by ``noskew.toml`` alone: a PostgreSQL catalog, an object store, a file URI."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow.fs as pafs
import pytest

import noskew as ns
from noskew.errors import ConfigError, NoskewError
from tests import servers
from tests.cli.project import run

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
AIRPORT = ns.Entity("airport", {"origin": str})
READINGS = ns.Source(
    "readings",
    {"origin": str, "read_at": "timestamp", "wind": float},
    event_time="read_at",
    created="read_at",
)
WEATHER = ns.FeatureView(
    "weather",
    entity=AIRPORT,
    source=READINGS,
    features=[ns.latest("wind"), ns.count(window="1h")],
)
SERVICE = ns.FeatureService("model", [WEATHER])
SECRET = "hunter2$%"


@pytest.fixture(scope="module")
def s3() -> Iterator[servers.S3Server]:
    with servers.s3_server() as server:
        server.make_bucket("lake")
        yield server


@pytest.fixture
def catalog(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty database, with a password in it, in a variable."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS storage WITH (FORCE)")
        connection.execute("CREATE DATABASE storage")
    monkeypatch.setenv("CATALOG_PASSWORD", "hunter2%24%25")
    host = postgres_url.split("@")[1].rsplit("/", 1)[0]
    yield f"postgresql://noskew:${{CATALOG_PASSWORD}}@{host}/storage"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE storage WITH (FORCE)")


def configure(root: Path, catalog: str, warehouse: str, properties: str = "") -> None:
    (root / "noskew.toml").write_text(
        f'project = "flights"\n[registry]\nurl = "{catalog}"\n'
        f'[offline]\ncatalog = "{catalog}"\nwarehouse = "{warehouse}"\nbuckets = 2\n{properties}'
    )


def there_and_back(root: Path) -> list[str]:
    """Ingest twice, train, compact, materialize, read; returns the offline files."""
    with ns.FeatureStore(root, clock=ns.FixedClock(NOON)) as store:
        store.apply(SERVICE)
        for minute, wind in ((10, 3.0), (50, 7.0)):
            at = NOON.replace(hour=11, minute=minute)
            store.ingest("readings", [{"origin": "JFK", "read_at": at, "wind": wind}])
        asked = {"origin": ["JFK"], "event_timestamp": [NOON]}
        expected = {"wind": [7.0], "count_1h": [2]}
        for _ in range(2):
            made = store.get_historical_features(asked, "model").to_arrow()
            assert made.select(list(expected)).to_pydict() == expected
            (done,) = store.compact()
        assert (done.files_before, done.files_after) == (1, 1)
        store.materialize()
        online = store.get_online_features("model", {"origin": ["JFK"]}).to_dict()
        assert online == {"origin": ["JFK"], **expected}
        (table,) = store.offline.tables()
        return store.offline.files(table)


def test_a_catalog_in_postgres_and_a_warehouse_in_s3(
    tmp_path: Path, catalog: str, s3: servers.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET", SECRET)
    properties = (
        f'[offline.properties]\ns3.endpoint = "{s3.url}"\ns3.access-key-id = "someone"\n'
        's3.secret-access-key = "${S3_SECRET}"\n"s3.region" = "us-east-1"\n'
    )
    configure(tmp_path, catalog, "s3://lake/warehouse", properties)
    (file,) = there_and_back(tmp_path)
    assert file.startswith("s3://lake/warehouse/noskew_flights/log_")
    bucket = pafs.S3FileSystem(
        access_key="x", secret_key="x", endpoint_override=s3.url, region="us-east-1"
    )
    assert bucket.get_file_info(file.removeprefix("s3://")).size > 0
    # Nothing of the offline store is on this disk.
    assert not list(tmp_path.rglob("*.parquet"))
    with ns.FeatureStore(tmp_path) as store:
        (table,) = store.offline.tables()
        store.offline.drop(table)
        left = pafs.FileSelector("lake/warehouse", recursive=True, allow_not_found=True)
        assert [f for f in bucket.get_file_info(left) if f.type == pafs.FileType.File] == []


def test_a_warehouse_by_file_uri(tmp_path: Path, catalog: str) -> None:
    configure(tmp_path, catalog, f"file://{tmp_path}/ware house")
    (file,) = there_and_back(tmp_path)
    assert Path(file.removeprefix("file://")).is_relative_to(tmp_path / "ware house")


@pytest.mark.parametrize("warehouse", ["s3://lake/warehouse", "s3://no-such-bucket/x"])
def test_no_secret_is_ever_shown(
    tmp_path: Path,
    catalog: str,
    s3: servers.S3Server,
    monkeypatch: pytest.MonkeyPatch,
    warehouse: str,
) -> None:
    """Neither by errors of parts that cannot be reached, nor by commands, nor by reprs."""
    monkeypatch.setenv("S3_SECRET", SECRET)
    endpoint = s3.url if "no-such" in warehouse else f"http://127.0.0.1:{servers.free_port()}"
    configure(
        tmp_path,
        catalog,
        warehouse,
        f'[offline.properties]\ns3.endpoint = "{endpoint}"\ns3.access-key-id = "someone"\n'
        's3.secret-access-key = "${S3_SECRET}"\ns3.region = "us-east-1"\ns3.connect-timeout = 1\n',
    )
    shown = []
    with ns.FeatureStore(tmp_path, clock=ns.FixedClock(NOON)) as store:
        shown += [repr(store), repr(store.config), repr(store.offline)]
        store.apply(SERVICE)
        with pytest.raises(NoskewError) as caught:
            store.ingest("readings", [{"origin": "JFK", "read_at": NOON, "wind": 1.0}])
        shown += traceback.format_exception(caught.value)
    for command in (["doctor"], ["show", "readings"], ["list"]):
        answer = run("-C", tmp_path, *command)
        shown += [answer.out, answer.err]
    (tmp_path / "noskew.toml").write_text(
        f'project = "flights"\n[registry]\nurl = "{catalog.replace("@127", "@nowhere")}"\n'
    )
    with ns.FeatureStore(tmp_path) as store, pytest.raises(NoskewError) as caught:
        store.apply(SERVICE)
    shown += traceback.format_exception(caught.value)
    for text in shown:
        assert "hunter2" not in text


def test_a_variable_that_is_not_set_is_named_with_its_key(tmp_path: Path) -> None:
    configure(tmp_path, "sqlite:///c.db", "w", '[offline.properties]\ns3.token = "${NOT_SET_1}"')
    with pytest.raises(ConfigError, match=r"offline\.properties\.s3\.token .* NOT_SET_1"):
        ns.FeatureStore(tmp_path)
