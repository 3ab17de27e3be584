from __future__ import annotations

import asyncio
import functools
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from noskew.errors import (
    ConfigError,
    CorruptDataError,
    StoreConfigError,
    StoreFullError,
    StoreUnavailableError,
)
from noskew.stores.online import open_store
from noskew.stores.online.redis import RedisStore
from noskew.testing.online_store import OnlineStoreTests, batch_of, row
from tests import servers


@pytest.fixture
def client(redis_server: servers.RedisServer) -> Iterator[redis.Redis]:
    """redis-py on the shared server, which is emptied."""
    with redis_server.client() as client:
        client.flushall()
        client.script_flush()
        yield client


@pytest.fixture
def store(client: redis.Redis, redis_url: str) -> Iterator[RedisStore]:
    with RedisStore(redis_url) as store:
        yield store


@pytest.mark.conformance
class TestRedisStore(OnlineStoreTests):
    can_be_stopped = True

    @pytest.fixture
    def store(self, client, redis_url) -> Iterator[RedisStore]:
        self.client, self.url = client, redis_url
        with RedisStore(redis_url) as store:
            yield store

    def raw_read(self, store, key):
        return self.client.get(key)

    def raw_write(self, store, key, stored):
        self.client.set(key, stored)

    def opener(self, store):
        return functools.partial(open_store, self.url)

    @contextmanager
    def outage(self):
        with servers.redis_server() as server, RedisStore(server.url) as store:
            yield store, server.stop


async def read_twice(store: RedisStore, keys: list[bytes], between) -> list[list[bytes | None]]:
    """Read, do something, and read again on the same event loop."""
    first = await store.read_async(keys)
    between()
    return [first, await store.read_async(keys)]


class TestConnections:
    def test_a_restarted_server_is_found_again(self):
        with servers.redis_server() as server, RedisStore(server.url) as store:

            def restart():
                server.stop()
                server.start()

            for version in (1, 2):
                assert store.write([b"k"], [row(version)]) == 1
                assert store.read([b"k"]) == [row(version)]
                restart()  # it keeps nothing, the script neither
            store.write([b"k"], [row(1)])
            assert asyncio.run(read_twice(store, [b"k"], restart)) == [[row(1)], [None]]

    def test_an_outage_ends(self):
        with servers.redis_server() as server, RedisStore(server.url) as store:

            async def outage():
                assert await store.read_async([b"k"]) == [None]
                server.stop()
                for _ in range(2):
                    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                        await store.read_async([b"k"])
                    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                        store.read([b"k"])
                server.start()
                assert await store.read_async([b"k"]) == [None]
                assert store.read([b"k"]) == [None]

            asyncio.run(outage())

    def test_connections_that_were_cut_are_replaced(self, store, client):
        def cut():
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        store.write([b"k"], [row(1)])
        cut()
        assert store.read([b"k"]) == [row(1)]
        cut()
        assert store.write([b"k"], [row(2)]) == 1
        assert asyncio.run(read_twice(store, [b"k"], cut)) == [[row(2)], [row(2)]]

    def test_the_script_is_loaded_again(self, store, client):
        keys = [b"%d" % i for i in range(5_000)]
        assert store.write(keys, [row(1)] * 5_000) == 5_000
        client.script_flush()
        assert store.write(keys, [row(2)] * 5_000) == 5_000

    def test_a_slow_server_is_not_waited_for(self):
        with servers.redis_server() as server, RedisStore(server.url, timeout_s=0.2) as store:
            store.write([b"k"], [row(1)])

            async def pause():
                assert await store.read_async([b"k"]) == [row(1)]
                os.kill(server.pid, signal.SIGSTOP)
                with pytest.raises(StoreUnavailableError, match=r"within 0\.2 s"):
                    await store.read_async([b"k"])
                with pytest.raises(StoreUnavailableError, match=r"within 0\.2 s"):
                    store.read([b"k"])
                with pytest.raises(StoreUnavailableError, match=r"within 0\.2 s"):
                    store.write([b"k"], [row(2)])
                os.kill(server.pid, signal.SIGCONT)
                # The late answers belong to nobody: the next ones are not mixed up with them.
                assert await store.read_async([b"absent"]) == [None]
                assert store.read([b"absent"]) == [None]

            asyncio.run(pause())

    def test_a_server_of_another_kind_is_no_redis(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1_000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            port = listener.getsockname()[1]
            with pytest.raises(StoreUnavailableError, match="not a Redis"):
                RedisStore(f"redis://127.0.0.1:{port}/0")
            thread.join()

    def test_a_forked_child_may_go_on(self, store):
        store.write([b"k"], [row(1)])
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                assert [store.read([b"k"]) for _ in range(200)] == [[row(1)]] * 200
                assert asyncio.run(store.read_async([b"k"])) == [row(1)]
                store.write([b"child"], [row(1)])
                code = 0
            finally:
                os._exit(code)
        assert [store.read([b"k", b"absent"]) for _ in range(200)] == [[row(1), None]] * 200
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert store.read([b"child"]) == [row(1)]

    def test_many_reads_of_a_loop_share_one_connection(self, store, client):
        store.write([b"k"], [row(1, bytes(300))])

        async def read_many():
            reads = [store.read_async([b"k"]) for _ in range(500)]
            assert await asyncio.gather(*reads) == [[row(1, bytes(300))]] * 500
            return len(client.client_list())

        before = len(client.client_list())
        assert asyncio.run(read_many()) == before + 1

    def test_a_cancelled_read_costs_no_connection(self, store, client):
        async def cancel_one() -> None:
            await store.read_async([b"k"])
            before = client.info("stats")["total_connections_received"]
            tasks = [asyncio.ensure_future(store.read_async([b"%d" % i])) for i in range(10)]
            await asyncio.sleep(0)
            tasks[3].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in done].count(asyncio.CancelledError) == 1
            await store.read_async([b"k"])
            assert client.info("stats")["total_connections_received"] == before

        asyncio.run(cancel_one())

    def test_closing_frees_every_connection(self, redis_url, client):
        before = len(client.client_list())
        store = RedisStore(redis_url)

        async def use():
            await store.read_async([b"k"])
            store.close()

        asyncio.run(use())
        servers.wait_until(lambda: len(client.client_list()) == before, "they are closed")

    def test_the_end_of_a_loop_frees_its_connection(self, store, client):
        before = len(client.client_list())
        for _ in range(3):
            asyncio.run(store.read_async([b"k"]))
        servers.wait_until(lambda: len(client.client_list()) == before, "they are closed")

    def test_large_requests_are_cut(self, store):
        keys = [b"%d" % i for i in range(12_345)]
        store.write(keys, [row(1, key) for key in keys])
        assert asyncio.run(store.read_async(keys)) == [row(1, key) for key in keys]


class TestFirstLoad:
    """Rows whose keys seem to be new are written by a command that is cheaper than the script."""

    KEYS = tuple(b"%05d" % i for i in range(2_500))

    def calls(self, client):
        stats = client.info("commandstats")
        return {
            name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]
            for name in ("msetnx", "evalsha")
        }

    def test_new_rows_need_no_script(self, store, client):
        client.config_resetstat()
        assert store.write(self.KEYS, [row(1)] * 2_500) == 2_500
        assert self.calls(client) == {"msetnx": 3, "evalsha": 0}
        assert store.write(self.KEYS, [row(2)] * 2_500) == 2_500
        assert self.calls(client)["msetnx"] == 3
        assert store.read(self.KEYS) == [row(2)] * 2_500

    def test_only_parts_that_hold_known_keys_do(self, store, client):
        store.write([self.KEYS[1_001]], [row(7)])
        client.config_resetstat()
        assert store.write(self.KEYS, [row(1)] * 2_500) == 2_499
        assert self.calls(client) == {"msetnx": 3, "evalsha": 1}
        assert store.read([self.KEYS[1_001]]) == [row(7)]

    def test_a_foreign_value_among_new_keys_is_noticed(self, store, client):
        client.rpush(self.KEYS[1_001], b"foreign")
        with pytest.raises(CorruptDataError, match="WRONGTYPE"):
            store.write(self.KEYS, [row(1)] * 2_500)
        assert client.lrange(self.KEYS[1_001], 0, -1) == [b"foreign"]

    def test_a_user_without_the_right_to_it_uses_the_script(self, store, client, redis_server):
        client.acl_setuser(
            "narrow",
            enabled=True,
            passwords=["+pw"],
            keys=["*"],
            commands=["+@read", "+@write", "+@scripting", "+info", "-msetnx"],
        )
        with RedisStore(f"redis://narrow:pw@127.0.0.1:{redis_server.port}/0") as narrow:
            assert narrow.write(self.KEYS, [row(1)] * 2_500) == 2_500
        client.acl_deluser("narrow")

    def test_an_outage_ends_a_load(self):
        keys = [b"%05d" % i for i in range(30_000)]
        with servers.redis_server() as server, RedisStore(server.url) as store:

            def batches():
                yield batch_of(keys[:10_000], [row(1)] * 10_000)
                server.stop()
                yield batch_of(keys[10_000:], [row(1)] * 20_000)

            with pytest.raises(StoreUnavailableError):
                store.load(batches())
            server.start()
            store.load([batch_of(keys, [row(1)] * 30_000)])
            assert store.read(keys) == [row(1)] * 30_000


class TestForeignData:
    def test_a_value_of_another_type_is_noticed(self, store, client):
        client.rpush(b"list", b"foreign")
        with pytest.raises(CorruptDataError, match="WRONGTYPE"):
            store.read([b"list"])
        with pytest.raises(CorruptDataError, match="WRONGTYPE"):
            asyncio.run(store.read_async([b"list"]))
        for keys in ([b"list"], [b"a", b"list"]):
            with pytest.raises(CorruptDataError, match="WRONGTYPE"):
                store.write(keys, [row(1)] * len(keys))
        assert client.lrange(b"list", 0, -1) == [b"foreign"]

    def test_keys_are_stored_as_given(self, store, client):
        store.write([b"plain"], [row(1)])
        assert client.keys() == [b"plain"]


class TestChecks:
    """What is refused on opening, because rows would be lost."""

    @pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
    def test_a_server_that_evicts_is_refused(self, policy):
        options = ("--maxmemory", "50mb", "--maxmemory-policy", policy)
        with servers.redis_server(*options) as server, server.client() as client:
            with pytest.raises(StoreConfigError, match="CONFIG SET maxmemory-policy noeviction"):
                RedisStore(server.url)
            client.config_set("maxmemory-policy", "noeviction")
            RedisStore(server.url).close()

    def test_a_policy_without_a_limit_evicts_nothing(self):
        with servers.redis_server("--maxmemory-policy", "allkeys-lru") as server:
            RedisStore(server.url).close()

    def test_a_full_server_loses_nothing(self):
        with (
            servers.redis_server("--maxmemory", "4mb") as server,
            RedisStore(server.url) as store,
        ):
            written: list[bytes] = []

            def fill() -> None:
                for i in range(1_000):
                    store.write([b"%d" % i], [row(1, bytes(50_000))])
                    written.append(b"%d" % i)

            with pytest.raises(StoreFullError, match="maxmemory"):
                fill()
            assert len(written) > 10
            assert store.read(written) == [row(1, bytes(50_000))] * len(written)
            assert store.delete(written[:5]) == 5
            assert store.write([b"again"], [row(1, bytes(50_000))]) == 1

    def test_users_and_passwords(self):
        with servers.redis_server("--requirepass", "se/cret@") as server:
            place = f"127.0.0.1:{server.port}"
            with RedisStore(f"redis://:se%2Fcret%40@{place}/0") as store:
                assert store.write([b"k"], [row(1)]) == 1
                assert asyncio.run(store.read_async([b"k"])) == [row(1)]
            with pytest.raises(StoreConfigError, match="NOAUTH"):
                RedisStore(server.url)
            with pytest.raises(StoreConfigError, match="WRONGPASS") as refused:
                RedisStore(f"redis://:hushhush@{place}/0")
            assert "hushhush" not in str(refused.value)
            with redis.Redis(port=server.port, password="se/cret@") as client:
                client.acl_setuser(
                    "app",
                    enabled=True,
                    passwords=["+pw"],
                    keys=["*"],
                    commands=["+@read", "+@write", "+@scripting"],
                )
                with pytest.raises(StoreConfigError, match="ACL SETUSER <user> \\+info"):
                    RedisStore(f"redis://app:pw@{place}/0")
                client.execute_command("ACL", "SETUSER", "app", "+info")
                with RedisStore(f"redis://app:pw@{place}/0") as store:
                    assert store.write([b"k"], [row(2)]) == 1
                    with pytest.raises(StoreConfigError, match="NOPERM"):
                        store.ping()

    def test_databases_are_apart(self, client, redis_server):
        with (
            RedisStore(f"redis://127.0.0.1:{redis_server.port}/3") as third,
            RedisStore(redis_server.url) as first,
        ):
            third.write([b"k"], [row(3)])
            assert first.read([b"k"]) == [None]
            assert asyncio.run(third.read_async([b"k"])) == [row(3)]
        with pytest.raises(StoreConfigError, match="DB index is out of range"):
            RedisStore(f"redis://127.0.0.1:{redis_server.port}/999")

    def test_a_replica_cannot_be_written(self):
        with servers.redis_server("--repl-diskless-sync-delay", "0") as primary:
            options = ("--replicaof", f"127.0.0.1 {primary.port}")
            with servers.redis_server(*options) as replica, RedisStore(replica.url) as store:
                servers.wait_until(lambda: _is_linked(replica), "the replica follows")
                assert store.read([b"k"]) == [None]
                with pytest.raises(StoreUnavailableError, match="READONLY"):
                    store.write([b"k"], [row(1)])

    def test_one_server_is_no_cluster(self, redis_server):
        with pytest.raises(StoreConfigError, match="not a node of a cluster"):
            RedisStore(redis_server.url, cluster=True)


def _is_linked(replica: servers.RedisServer) -> bool:
    with replica.client() as client:
        return client.info("replication")["master_link_status"] == "up"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and a certificate for 127.0.0.1 that signs itself, in one directory."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed; apt-get install openssl")
    place = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=noskew test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            str(place / "key.pem"),
            "-out",
            str(place / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return place


def test_tls(certificate, monkeypatch):
    port = servers.free_port()
    options = (
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(certificate / "cert.pem")),
        *("--tls-key-file", str(certificate / "key.pem")),
    )
    with servers.redis_server(*options):
        url = f"rediss://127.0.0.1:{port}/0"
        with pytest.raises(StoreUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            RedisStore(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        assert ssl.get_default_verify_paths().cafile is not None
        with RedisStore(url) as store:
            rows = [row(1, bytes(100_000)), row(2)]
            assert store.write([b"a", b"b"], rows) == 2
            assert store.read([b"a", b"b"]) == rows
            assert asyncio.run(store.read_async([b"a", b"b"])) == rows


class TestAddress:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("redis://host:port/0", "two numbers"),
            ("redis://host:6379/zero", "two numbers"),
            ("redis+cluster://host:6379/1", "only database 0"),
            ("redis://host?timeout_s=soon", "number of seconds"),
            ("redis://host?timeout_s=0", "positive"),
            ("redis://host?db=1", "'timeout_s'|timeout_s"),
            ("redis://host?timeout_s=1&timeout_s=2", "repeats"),
        ],
    )
    def test_another_form_is_refused(self, url, message):
        with pytest.raises(ConfigError, match=message):
            open_store(url)

    def test_options(self, redis_url):
        with open_store(f"{redis_url}?timeout_s=0.5") as store:
            store.ping()
            assert store._server._address.timeout_s == 0.5
