"""The life of a server: start, readiness, new definitions, stores that fail, the end."""

from __future__ import annotations

import http.client
import importlib
import os
import select
import shutil
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pytest

import noskew as ns
from noskew.clock import to_micros
from noskew.errors import ConfigError, InputError, StoreUnavailableError
from noskew.serving.server import serve
from tests.servers import postgres_server, redis_server, wait_until
from tests.serving import shop
from tests.serving.feature_server import FeatureServer, running, write_config
from tests.serving.test_documents import metrics

AT = to_micros(shop.NOW)
ASKED = b'{"rows": {"id": ["a"]}}'


def ask(server: FeatureServer, service: str = "plain", rows: Any = None) -> httpx.Response:
    body = {"rows": rows or {"id": ["a"]}}
    return httpx.post(f"{server.url}/features/{service}", json=body, timeout=20)


def error(answer: httpx.Response) -> tuple[int, str, str]:
    told = answer.json()["error"]
    return answer.status_code, told["type"], told["message"]


class Load:
    """Requests without end from several threads, and how each of them ended."""

    def __init__(self, server: FeatureServer) -> None:
        self.seen: Counter[str] = Counter()
        self._port, self._done = server.port, threading.Event()
        kinds = [self._kept, self._kept, self._new, self._new]
        self.threads = [threading.Thread(target=kind) for kind in kinds]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self.threads:
            thread.join()

    def _connection(self) -> http.client.HTTPConnection | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.connect()
        except OSError:
            self.seen["refused"] += 1  # nothing was sent, so nothing can be lost
            self._done.wait(0.01)
            return None
        return connection

    def _one(self, connection: http.client.HTTPConnection) -> bool:
        """Whether the connection can be used again."""
        try:
            connection.request("POST", "/features/plain", ASKED)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.seen["closed"] += 1
            return False
        self.seen[str(answer.status)] += 1
        return not answer.will_close

    def _kept(self) -> None:
        while not self._done.is_set():
            connection = self._connection()
            while connection is not None and not self._done.is_set() and self._one(connection):
                pass
            if connection is not None:
                connection.close()

    def _new(self) -> None:
        while not self._done.is_set():
            if (connection := self._connection()) is not None:
                self._one(connection)
                connection.close()


def test_workers_share_the_work_survive_a_death_and_lose_no_request_at_the_end(tmp_path: Path):
    write_config(tmp_path)
    shop.filled(tmp_path).close()
    with running(tmp_path, host="0.0.0.0", workers=2, at=AT) as server:
        wait_until(lambda: versions(server) == [1.0, 1.0], "both workers serve")
        with Load(server) as load:
            wait_until(lambda: load.seen["200"] > 200, "requests are answered")
        assert set(load.seen) == {"200"}
        wait_until(lambda: counted(server) == load.seen["200"], "all workers told their counts")

        victim = min(told_by(server))
        psutil.Process(victim).kill()
        wait_until(lambda: is_replaced(server, victim), "another one took its place")
        assert counted(server) >= load.seen["200"], "what the dead one counted stays"

        with Load(server) as load, ExitStack() as stack:
            wait_until(lambda: load.seen["200"] > 100, "requests are answered")
            waiting = under_way(stack, server)
            server.signal(signal.SIGTERM)
            assert [rows_answered(connection) for connection in waiting] == [10_000] * 20
            assert server.wait() == 0
            wait_until(lambda: load.seen["refused"] > 0, "nobody listens any more")
        # A connection without a request under way may be closed just as one is sent on it.
        assert load.seen.pop("closed", 0) <= len(load.threads)
        assert set(load.seen) == {"200", "refused"}, load.seen
    assert "Traceback" not in server.log


def under_way(stack: ExitStack, server: FeatureServer) -> list[socket.socket]:
    """Connections on each of which a large request waits to be answered."""
    body = orjson.dumps({"rows": {"id": ["a"] * 10_000}})
    head = f"POST /features/plain HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    connections = []
    for _ in range(20):
        made = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        connections.append(stack.enter_context(made))
    for connection in connections:
        connection.sendall(head.encode() + body)
    # A worker takes them one after the other: when the first is answered, the others wait.
    select.select(connections, [], [], 20)
    return connections


def rows_answered(connection: socket.socket) -> int:
    answer = http.client.HTTPResponse(connection, method="POST")
    answer.begin()
    assert answer.status == 200
    return len(orjson.loads(answer.read())["features"]["numbers__n_f64"])


def versions(server: FeatureServer) -> list[float]:
    return [v for n, v in metrics(server).items() if n.startswith("noskew_registry_version{")]


def told_by(server: FeatureServer) -> set[int]:
    found = [n for n in metrics(server) if n.startswith("noskew_registry_version{")]
    return {int(n.split('pid="')[1].split('"')[0]) for n in found}


def is_replaced(server: FeatureServer, victim: int) -> bool:
    try:
        return len(told_by(server)) == 2 and victim not in told_by(server)
    except httpx.TransportError:
        return False  # the connection was waiting for the one that died


def counted(server: FeatureServer) -> float:
    name = 'noskew_http_requests_total{route="features",service="plain",status="200"}'
    return metrics(server).get(name, 0.0)


JUDGE = """
import numpy as np

{more}

def judged(given):
    return {{"total": given["n_f64"] + {constant}}}
"""


def judged(root: Path, constant: str, more: str = "") -> ns.FeatureService:
    """A service with a function that adds a constant, as the project's file says now."""
    (root / "judges.py").write_text(JUDGE.format(constant=constant, more=more), encoding="utf-8")
    sys.modules.pop("judges", None)
    importlib.invalidate_caches()
    function = importlib.import_module("judges").judged
    made = ns.OnDemand("judged", function, inputs=[shop.NUMBERS["n_f64"]], outputs={"total": float})
    return ns.FeatureService("judged_items", [made])


@pytest.fixture
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory from which functions can be imported, and their modules forgotten after."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("judges", None)


def test_definitions_are_taken_over_while_requests_are_served(in_project: Path):
    root = in_project
    with postgres_server() as postgres:
        write_config(root, sections=["[registry]", f'url = "{postgres.url}"'])
        with running(root, at=AT, ready=False) as server:
            # Nothing is applied.
            status, kind, message = error(httpx.get(f"{server.url}/readyz"))
            assert (status, kind) == (503, "StoreUnavailableError")
            assert "noskew apply" in message
            answer = ask(server)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert server.status("/healthz") == 200
            assert server.status("/metrics") == 200

            with shop.filled(root, shop.PLAIN) as store:
                server.wait_until_ready()
                here = store.get_online_features("plain", {"id": ["a"]}).to_dict()
                features = ask(server).json()["features"]
                assert features == {n: v for n, v in here.items() if n != "id"}

                with Load(server) as load:
                    store.apply([shop.PLAIN, judged(root, "1.0")])
                    wait_until(lambda: totals(server) == [2.5], "the new service is served")
                    # The same module, changed: the worker must not answer with the old code.
                    store.apply([shop.PLAIN, judged(root, "10.0")])
                    wait_until(lambda: totals(server) == [11.5], "the new function is served")
                    store.apply([judged(root, "10.0"), shop.PLAIN, shop.PLACES])
                    wait_until(lambda: ask(server, "places").status_code == 422, "a third one")
                assert set(load.seen) == {"200"}

                # A service whose function is gone takes no other with it.
                store.apply([judged(root, "20.0"), shop.PLAIN])
                wait_until(lambda: totals(server) == [21.5], "the last function is served")
                gone = judged(root, "30.0")
                (root / "judges.py").unlink()
                store.apply([gone, shop.PLAIN], uncertified=True)
                wait_until(lambda: broken(server) == ["judged_items"], "it is told")
                assert error(ask(server, "judged_items"))[:2] == (500, "DefinitionError")
                assert ask(server).status_code == 200

            # The registry is down: what was served is served on.
            postgres.stop()
            failed = "noskew_registry_errors_total"
            wait_until(lambda: metrics(server).get(failed, 0.0) > 0, "the registry is missed")
            assert ask(server).status_code == 200
            assert server.status("/readyz") == 200
            postgres.start()
            with ns.FeatureStore(root) as store:
                store.apply([shop.PLAIN, shop.PLACES])
                wait_until(lambda: ask(server, "places").status_code == 422, "it is back")

            # The online store's files are replaced: the new ones are read.
            shutil.rmtree(root / ".noskew" / "online")
            with ns.FeatureStore(root) as store:
                store.materialize(full=True)
            wait_until(lambda: present(server), "the new files are read")
        assert "Traceback" not in server.log


def totals(server: FeatureServer) -> list[float] | None:
    answer = ask(server, "judged_items")
    return answer.json()["features"]["total"] if answer.status_code == 200 else None


def broken(server: FeatureServer) -> list[str]:
    return list(httpx.get(f"{server.url}/readyz").json()["broken"])


def present(server: FeatureServer) -> bool:
    answer = ask(server)
    return answer.status_code == 200 and "PRESENT" in answer.json()["statuses"].values()


def test_an_online_store_that_is_down_is_told_and_comes_back(tmp_path: Path):
    with redis_server() as redis:
        redis.stop()
        write_config(tmp_path, sections=["[online]", f'url = "{redis.url}?timeout_s=1"'])
        with running(tmp_path, at=AT, ready=False) as server:
            assert server.status("/readyz") == 503
            redis.start()
            with shop.filled(tmp_path, shop.PLAIN) as store:
                server.wait_until_ready()
                here = store.get_online_features("plain", {"id": ["a", "strange", None]})
                with ns.Client(server.url) as client:
                    rows = {"id": ["a", "strange", None]}
                    there = client.get_online_features("plain", rows)
                    assert shop.bits(there.to_arrow()) == shop.bits(here.to_arrow())
                    assert there.versions() == here.versions()
                    redis.stop()
                    wait_until(lambda: server.status("/readyz") == 503, "it is missed")
                    with pytest.raises(StoreUnavailableError):
                        client.get_online_features("plain", rows)
                answer = ask(server)
                assert error(answer)[:2] == (503, "StoreUnavailableError")
                assert answer.headers["retry-after"] == "1"
                assert server.status("/healthz") == 200
                # A client that tries for long enough sees nothing of a short failure.
                mending = threading.Thread(target=redis.start)
                with ns.Client(server.url, attempts=30) as client:
                    mending.start()
                    assert client.get_online_features("plain", rows).statuses()
                mending.join()
                store.materialize(full=True)
                wait_until(lambda: present(server), "it answers again")
                assert server.status("/readyz") == 200
        assert "Traceback" not in server.log


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_machines_are_kept_out_unless_asked_in(tmp_path: Path, host: str):
    write_config(tmp_path)
    with pytest.raises(ConfigError, match="--insecure"):
        serve(tmp_path, host, 6580)


def test_what_cannot_be_served_is_refused_at_once(tmp_path: Path):
    with pytest.raises(ConfigError, match="noskew init"):
        serve(tmp_path)
    write_config(tmp_path)
    with pytest.raises(ConfigError, match="workers must be at least 1"):
        serve(tmp_path, workers=0)
    with pytest.raises(ConfigError, match="1 to 65535"):
        serve(tmp_path, port=0)
    with pytest.raises(ConfigError, match="not an address"):
        serve(tmp_path, "no such host.invalid")
    with listening() as port, pytest.raises(ConfigError, match=f"port {port}: .*in use"):
        serve(tmp_path, port=port)
    with pytest.raises(InputError, match="no offset"):
        serve(tmp_path, at="2024-05-01T12:00:00")
    with listening() as port:
        write_config(tmp_path, sections=["[serve]", 'host = "0.0.0.0"', f"port = {port}"])
        with pytest.raises(ConfigError, match="--insecure"):
            serve(tmp_path)
        with pytest.raises(ConfigError, match="in use"):
            serve(tmp_path, "127.0.0.1")
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
