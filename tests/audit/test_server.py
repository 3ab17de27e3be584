"""Answers of the real server, over HTTP, kept and audited."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
import yaml

import noskew as ns
from noskew.addresses import Tenant
from noskew.answer_log.table import ServedTable
from noskew.client import Client
from noskew.clock import FixedClock, to_micros
from noskew.kernel.keys import encode_key
from noskew.serving.http.metrics import Metrics
from noskew.serving.http.skew_metrics import SkewMetrics
from tests.audit.keeping import same
from tests.servers import wait_until
from tests.serving import shop
from tests.serving.feature_server import FeatureServer, running, write_config
from tests.serving.test_answers import as_json

KEPT = ["[serve]", "audit = 1.0"]
LATER = shop.NOW + timedelta(minutes=1)


@contextmanager
def project(root: Path, *lines: str) -> Iterator[ns.FeatureStore]:
    write_config(root, *lines, sections=KEPT)
    with shop.filled(root, shop.EVERYTHING, shop.PLAIN, shop.PLACES) as store:
        yield store


def kept(store: ns.FeatureStore) -> int:
    """Rows that are in the offline store."""
    tables = [t for t in store.offline.tables() if t.startswith("served_")]
    return sum(store.offline.info(t).rows for t in tables)


def ask(server: FeatureServer, service: str, rows: Any) -> Any:
    body = as_json({"rows": rows})
    answer = httpx.post(f"{server.url}/features/{service}", content=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


def metrics(server: FeatureServer) -> dict[str, float]:
    return parsed(httpx.get(f"{server.url}/metrics", timeout=20).text)


def parsed(text: str) -> dict[str, float]:
    found = re.findall(r"^(noskew_(?:audit|skew)_\S+) (\S+)$", text, re.M)
    return {name: float(value) for name, value in found}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ns.FeatureStore, Any]]:
    """A store, and what its server of two processes gave before it stopped."""
    root = tmp_path_factory.mktemp("kept")
    answers: dict[str, Any] = {"json": [], "arrow": [], "pids": set()}
    with project(root) as store:
        with running(root, at=to_micros(shop.NOW), workers=2) as server:
            for _ in range(8):
                answers["json"].append(ask(server, "everything", {"id": shop.ASKED}))
                ask(server, "plain", {"id": ["a"]})
            with Client(server.url) as client:
                asked = {"id": shop.ASKED}
                answers["arrow"].append(client.get_online_features("everything", asked))
            feast = {"entities": {"id": ["a", "old"]}, "feature_service": "plain"}
            for full in (True, False):
                body = feast | {"full_feature_names": full}
                url = f"{server.url}/get-online-features"
                assert httpx.post(url, json=body, timeout=20).status_code == 200
            chosen = {"entities": {"id": ["a"]}, "features": ["latest:f64", "windows:events"]}
            assert httpx.post(url, json=chosen, timeout=20).status_code == 200
            places = {"row": [0, 1, 77], "place": [0, -1, 5], "id": ["a", "strange", "x"]}
            ask(server, "places", places)
        store.clock = FixedClock(LATER)
        yield store, answers


def test_everything_that_was_served_is_kept_when_a_server_stops(
    served: tuple[ns.FeatureStore, Any],
) -> None:
    store, answers = served
    n = len(shop.ASKED)
    everything = store.get_served("everything").to_arrow()
    assert len(everything) == n * (len(answers["json"]) + 1)
    # Of the Feast route: of the service under the same and under other names.
    assert len(store.get_served("plain")) == 8 + 2 + 2
    assert len(store.get_served("places")) == 3
    table = ServedTable(store.applied.project.service("plain"))
    servers = store.offline.read(table.name, ["server"]).column("server").unique()
    assert len(servers) in (1, 2), "each process keeps what it answered"


def test_what_is_kept_is_what_clients_received_bit_for_bit(
    served: tuple[ns.FeatureStore, Any],
) -> None:
    store, answers = served
    (arrow,) = answers["arrow"]
    rows = store.get_served("everything").to_arrow()
    assert rows.column_names[:2] == ["id", "event_timestamp"]
    assert set(rows.column("event_timestamp").to_pylist()) == {shop.NOW}
    wanted = pa.table({"id": pa.array(shop.ASKED)} | columns(arrow.to_arrow()))
    for item in [*shop.IDS, "never seen", None]:
        mine = [i for i, name in enumerate(rows.column("id").to_pylist()) if name == item]
        place = shop.ASKED.index(item)
        expected = shop.bits(wanted.slice(place, 1).drop_columns(["id"]))
        assert len(mine) >= 9
        for i in mine:
            got = rows.slice(i, 1).drop_columns(["id", "event_timestamp"])
            assert shop.bits(got) == expected, item
    training = store.get_served("everything")
    assert len(training.to_pandas()) == len(training.to_polars()) == len(rows)


def columns(table: pa.Table) -> dict[str, Any]:
    return dict(zip(table.column_names, table.columns, strict=True))


def test_a_healthy_store_has_no_skew(served: tuple[ns.FeatureStore, Any]) -> None:
    store, _ = served
    report = store.audit_skew()
    names = {s.service for s in report.services}
    assert names == {"everything", "plain", "places", "get_online_features"}
    for service, feature, found in report:
        assert found.counts() | {"compared": 0, "equal": 0} == dict.fromkeys(found.counts(), 0), (
            service,
            feature,
            found,
        )
        assert found.equal == found.compared > 0
    assert report.is_equal


def test_a_period_is_respected(served: tuple[ns.FeatureStore, Any]) -> None:
    store, _ = served
    assert len(store.get_served("plain", since="90s")) == 12
    assert len(store.get_served("plain", since="30s")) == 0
    assert len(store.get_served("plain", until=shop.NOW - timedelta(seconds=1))) == 0
    assert store.audit_skew("plain", since="30s").services[0].rows == 0
    with pytest.raises(ns.NoskewError, match="after"):
        store.get_served("plain", since="1m", until="2m")
    with pytest.raises(ns.NoskewError, match="plain"):
        store.audit_skew("plian")
    with pytest.raises(ns.NoskewError, match="is not a time"):
        store.get_served("plain", since="yesterday")


@pytest.mark.parametrize("online", ["lmdb", "redis"])
def test_a_damaged_row_is_found_and_named(
    online: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lines = []
    if online == "redis":
        lines = ["[online]", f'url = "{request.getfixturevalue("redis_url")}"']
    with project(tmp_path, *lines) as store:
        prefix = Tenant("shop").rows(shop.NUMBERS).prefix
        key, other = (prefix + encode_key([i]) for i in ("a", "strange"))
        row, another = store.online.read([key, other])
        assert row is not None
        assert another is not None
        store.online.delete([key])
        store.online.write([key], [row[:16] + another[16:]])
        with running(tmp_path, at=to_micros(shop.NOW)) as server:
            given = ask(server, "plain", {"id": ["a", "old"]})["features"]
        store.clock = FixedClock(LATER)
        report = store.audit_skew("plain")
        feature = report.services[0].features["numbers__n_i64"]
        assert (feature.equal, feature.different, feature.behind) == (1, 1, 0)
        (example,) = feature.examples
        assert (example.keys, example.verdict) == ({"id": "a"}, "different")
        assert example.served == given["numbers__n_i64"][0] == (1 << 63) - 1
        assert example.known == example.folded == -4
        assert "damaged" in example.cause
        # What was found is told by every server of the project.
        told = SkewMetrics()
        told.refresh(store.registry, "shop")
        found = parsed(Metrics([told]).text().decode())
        of = '{feature="numbers__n_i64",service="plain"}'
        assert (found["noskew_skew_different" + of], found["noskew_skew_equal" + of]) == (1, 1)
        told_at = found['noskew_skew_audit_time_seconds{service="plain"}']
        assert told_at == to_micros(LATER) / 1e6


def test_answers_reach_the_offline_store_while_the_server_runs(tmp_path: Path) -> None:
    with project(tmp_path) as store, running(tmp_path, at=to_micros(shop.NOW)) as server:
        ask(server, "plain", {"id": ["a", "old"]})
        wait_until(lambda: kept(store) == 2, "they are there", 30)
        wait_until(
            lambda: metrics(server)['noskew_audit_logged_rows_total{service="plain"}'] == 2,
            "they are counted",
        )
        found = metrics(server)
        assert found['noskew_audit_sampled_rows_total{service="plain"}'] == 2
        assert found['noskew_audit_dropped_rows_total{service="plain"}'] == 0
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_alert_rules_name_metrics_that_exist() -> None:
    text = Path(ns.__file__).parent.joinpath("audit", "alerts.yaml").read_text(encoding="utf-8")
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    used = {name for rule in rules for name in re.findall(r"noskew_\w+", rule["expr"])}
    assert len({rule["alert"] for rule in rules}) == len(rules) == 5
    exported = Metrics([SkewMetrics()]).text().decode()
    known = set(re.findall(r"^# TYPE (\S+) ", exported, re.M))
    assert used <= known, used - known


def test_same_tells_values_apart() -> None:
    assert same([1.0, float("nan")], [1.0, float("nan")])
    assert not same(0.0, -0.0)
    assert not same(1, 1.0)
