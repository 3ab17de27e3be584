from __future__ import annotations

import asyncio
import functools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from hiredis import ReplyError

from noskew.errors import CorruptDataError, StoreConfigError, StoreUnavailableError
from noskew.stores.online import open_store
from noskew.stores.online.redis import RedisStore
from noskew.stores.online.redis import silence as silence_module
from noskew.stores.online.redis.layout import Layout, Survey
from noskew.stores.online.redis.routing import NOBODY, SLOTS, Job, key_slot
from noskew.stores.online.redis.silence import Silence
from noskew.testing.online_store import OnlineStoreTests, row
from tests import servers


@pytest.fixture(scope="module")
def shared_client(redis_cluster: servers.RedisCluster) -> Iterator[redis.RedisCluster]:
    with redis_cluster.client() as client:
        yield client


@pytest.fixture
def client(shared_client: redis.RedisCluster) -> redis.RedisCluster:
    """redis-py on the shared cluster, which is emptied."""
    shared_client.flushall(target_nodes="primaries")
    return shared_client


@pytest.mark.conformance
class TestRedisClusterStore(OnlineStoreTests):
    can_be_stopped = True

    @pytest.fixture
    def store(self, client, redis_cluster_url) -> Iterator[RedisStore]:
        self.client, self.url = client, redis_cluster_url
        with RedisStore(redis_cluster_url) as store:
            yield store

    def raw_read(self, store, key):
        return self.client.get(key)

    def raw_write(self, store, key, stored):
        self.client.set(key, stored)

    def opener(self, store):
        return functools.partial(open_store, self.url)

    @contextmanager
    def outage(self):
        with servers.redis_cluster() as cluster, RedisStore(cluster.url) as store:

            def stop() -> None:
                for node in cluster.nodes:
                    node.stop()

            yield store, stop


KEYS = [b"%d" % i for i in range(3_000)]


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[servers.RedisCluster]:
    """A cluster whose slots may be moved."""
    with servers.redis_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(own_cluster: servers.RedisCluster) -> servers.RedisCluster:
    for node in own_cluster.nodes:
        with node.client() as client:
            client.flushall()
    return own_cluster


@pytest.fixture
def store(cluster: servers.RedisCluster) -> Iterator[RedisStore]:
    with RedisStore(cluster.url) as store:
        store.write(KEYS, [row(1, key) for key in KEYS])
        yield store


class Move:
    """A slot on its way from its owner to another node, in the steps an operator takes."""

    def __init__(self, cluster: servers.RedisCluster, slot: int) -> None:
        self.slot = slot
        self.nodes = cluster.nodes
        ids = []
        for node in cluster.nodes:
            with node.client() as client:
                ids.append(client.execute_command("CLUSTER MYID").decode())
                slots = client.execute_command("CLUSTER SLOTS")
        port = next(p[1] for first, last, p, *_ in _raw(slots) if first <= slot <= last)
        at = next(i for i, node in enumerate(cluster.nodes) if node.port == port)
        self.source, self.source_id = cluster.nodes[at], ids[at]
        to = (at + 1) % len(ids)
        self.target, self.target_id = cluster.nodes[to], ids[to]

    def open(self) -> None:
        self._set(self.target, "IMPORTING", self.source_id)
        self._set(self.source, "MIGRATING", self.target_id)

    def carry(self, keys: list[bytes]) -> None:
        with self.source.client() as client:
            for key in keys:
                client.migrate("127.0.0.1", self.target.port, key, 0, 5_000)

    def finish(self) -> None:
        for node in (self.target, self.source, *self.nodes):
            self._set(node, "NODE", self.target_id)

    def _set(self, node: servers.RedisServer, state: str, node_id: str) -> None:
        with node.client() as client:
            client.execute_command("CLUSTER SETSLOT", self.slot, state, node_id)


def _raw(slots):
    # redis-py may have parsed the reply into a dict of {(first, last): {"primary": (host, port)}}.
    if isinstance(slots, dict):
        return [(first, last, d["primary"]) for (first, last), d in slots.items()]
    return slots


class TestRouting:
    def test_slots_are_those_of_the_server(self, cluster):
        keys = [b"", b"a", b"{}a", b"{a}b", b"a{b}c{d}", b"{{a}}", b"a}b{c}", b"{", b"}{", b"\x00{"]
        keys += [bytes([i, 255 - i, 123, i, 125]) for i in range(256)]
        with cluster.nodes[0].client() as client:
            for key in keys:
                assert key_slot(key) == client.execute_command("CLUSTER KEYSLOT", key)

    def test_a_batch_reaches_every_node(self, store, cluster):
        held = []
        for node in cluster.nodes:
            with node.client() as client:
                held.append(client.dbsize())
        assert sum(held) == len(KEYS)
        assert min(held) > len(KEYS) // 6

    def test_keys_on_the_move_are_asked_for(self, store, cluster):
        keys = [b"{tag}%d" % i for i in range(6)]
        store.write(keys, [row(1, key) for key in keys])
        move = Move(cluster, key_slot(keys[0]))
        move.open()
        move.carry(keys[:3])
        # Half of the keys are here, half are there, and absent ones are asked for there too.
        asked = [*keys, b"{tag}absent", *KEYS[:50]]
        expected = [*(row(1, key) for key in keys), None, *(row(1, key) for key in KEYS[:50])]
        assert store.read(asked) == expected
        assert [store.read([key])[0] for key in asked[:7]] == expected[:7]
        assert asyncio.run(store.read_async(asked)) == expected
        assert store.write(keys, [row(2, key) for key in keys]) == 6
        assert store.write([b"{tag}new", keys[0]], [row(1), row(1)]) == 1
        assert store.delete([keys[0], keys[5], b"{tag}absent"]) == 2
        assert store.read([*keys, b"{tag}new"]) == [
            None,
            *(row(2, key) for key in keys[1:5]),
            None,
            row(1),
        ]
        move.carry(keys[3:])
        move.finish()
        assert store.read(keys[1:5]) == [row(2, key) for key in keys[1:5]]

    def test_a_slot_that_moved_is_followed(self, store, cluster):
        moved = [key for key in KEYS if key_slot(key) == key_slot(b"7")]
        move = Move(cluster, key_slot(b"7"))
        move.open()
        move.carry(moved)
        move.finish()
        assert store.read(KEYS) == [row(1, key) for key in KEYS]
        # Learnt once: the next request goes to the right node at once.
        assert store._server._cluster.owners[move.slot][1] == move.target.port
        back = Move(cluster, move.slot)
        back.open()
        back.carry(moved)
        back.finish()
        assert asyncio.run(store.read_async(KEYS)) == [row(1, key) for key in KEYS]
        assert store._server._cluster.owners[move.slot][1] == back.target.port
        assert store.write(KEYS, [row(2, key) for key in KEYS]) == len(KEYS)

    def test_a_scan_during_a_move_gives_every_row_once(self, store, cluster):
        scan = store.scan()
        found = [next(scan)]
        # From a node not yet scanned to the one whose scan began: a single pass would miss them.
        slots = sorted({key_slot(key) for key in KEYS})
        for slot in slots[:: len(slots) // 30]:
            move = Move(cluster, slot)
            move.open()
            move.carry([key for key in KEYS if key_slot(key) == slot])
            move.finish()
        found += list(scan)
        assert sorted(found) == sorted((key, row(1, key)) for key in KEYS)

    def test_a_scan_of_a_cluster_that_stays_open_says_so(self, store, cluster):
        move = Move(cluster, key_slot(b"9"))
        move.open()
        with pytest.raises(StoreUnavailableError, match="kept moving"):
            list(store.scan())
        move.carry([key for key in KEYS if key_slot(key) == move.slot])
        move.finish()
        assert len(list(store.scan())) == len(KEYS)

    def test_the_script_is_loaded_again(self, store, cluster):
        for version, node in enumerate(cluster.nodes, start=2):
            with node.client() as client:
                client.script_flush()
            assert store.write(KEYS, [row(version)] * len(KEYS)) == len(KEYS)

    def test_connections_that_were_cut_are_replaced(self, store, cluster):
        def cut() -> None:
            for node in cluster.nodes:
                with node.client() as client:
                    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        cut()
        assert store.read(KEYS) == [row(1, key) for key in KEYS]
        cut()
        assert store.write(KEYS, [row(2, key) for key in KEYS]) == len(KEYS)
        cut()
        assert store.read(KEYS[:1]) == [row(2, KEYS[0])]

        async def read_cut_read():
            assert len(await store.read_async(KEYS)) == len(KEYS)
            cut()
            return await store.read_async(KEYS)

        assert asyncio.run(read_cut_read()) == [row(2, key) for key in KEYS]

    def test_a_value_of_another_type_is_noticed(self, store, cluster):
        with cluster.client() as client:
            client.rpush(b"list", b"foreign")
        with pytest.raises(CorruptDataError, match="WRONGTYPE"):
            store.read([b"a", b"list"])
        with pytest.raises(CorruptDataError, match="WRONGTYPE"):
            store.write([b"a", b"list"], [row(1)] * 2)


class TestJob:
    """The routing alone: what the nodes say is given, nothing is sent."""

    HERE, THERE = ("10.0.0.1", 6379), ("10.0.0.2", 6379)

    def job(self, *keys: bytes) -> tuple[Job, list[tuple[str, int]]]:
        return Job(keys, [b"<%b>" % key for key in keys]), [self.HERE] * SLOTS

    def test_replies_come_in_the_order_of_the_keys(self):
        job, owners = self.job(b"a", b"b", b"c")
        owners[key_slot(b"b")] = self.THERE
        first, second = job.parts(owners)
        assert (first.endpoint, first.commands, first.count) == (self.HERE, b"<a><c>", 2)
        assert (second.endpoint, second.commands, second.count) == (self.THERE, b"<b>", 1)
        job.absorb([first, second], [[b"A", b"C"], [b"B"]])
        assert job.parts(owners) == []
        assert job.replies == [b"A", b"B", b"C"]

    def test_what_a_node_says_of_its_slot_beats_what_others_say(self):
        job, owners = self.job(b"a", b"b")
        parts = job.parts(owners)
        moved = ReplyError(f"MOVED {key_slot(b'b')} 10.0.0.2:6379")
        job.absorb(parts, [[b"A", moved]])
        assert job.misrouted
        job.correct(owners)  # as the other nodes described them: still the old owner
        assert owners[key_slot(b"b")] == self.THERE
        (again,) = job.parts(owners)
        assert (again.endpoint, again.commands) == (self.THERE, b"<b>")
        job.absorb([again], [[b"B"]])
        assert job.replies == [b"A", b"B"]

    def test_a_key_that_is_asked_for_elsewhere_changes_no_owner(self):
        job, owners = self.job(b"a", b"b")
        ask = ReplyError(f"ASK {key_slot(b'a')} 10.0.0.2:6379")
        job.absorb(job.parts(owners), [[ask, b"B"]])
        assert not job.misrouted
        (again,) = job.parts(owners)
        assert again.endpoint == self.THERE
        assert again.commands.endswith(b"<a>")
        assert again.count == 2
        job.absorb([again], [[b"OK", b"A"]])
        assert job.replies == [b"A", b"B"]

    def test_a_node_without_a_name_is_where_it_was_asked(self):
        job, owners = self.job(b"a")
        job.absorb(job.parts(owners), [[ReplyError(f"MOVED {key_slot(b'a')} :6380")]])
        job.correct(owners)
        assert owners[key_slot(b"a")] == ("10.0.0.1", 6380)

    def test_a_slot_of_nobody(self):
        job, owners = self.job(b"a")
        owners[key_slot(b"a")] = NOBODY
        with pytest.raises(StoreUnavailableError, match=f"slot {key_slot(b'a')}"):
            job.parts(owners)


class TestLayout:
    """What nodes say of the layout: which of them is asked, and who is believed."""

    A, B, C = ("10.0.0.1", 6379), ("10.0.0.2", 6379), ("10.0.0.3", 6379)

    def answer(self, owner: tuple[str, int], state: str = "ok") -> list[object]:
        host, port = owner
        slots = [[0, SLOTS - 1, [host.encode(), port, b"id", []]]]
        return [f"cluster_state:{state}\r\n".encode(), slots]

    def survey(self, silence: Silence | None = None) -> Survey:
        return Survey([self.A, self.B, self.C], silence or Silence(60), 60)

    def test_primaries_and_replicas(self):
        slots = [
            [0, 1, [b"10.0.0.1", 6379, b"a", []], [b"10.0.0.3", 6379, b"c", []]],
            # A node that does not know its own name.
            [5, SLOTS - 1, [None, 6380, b"b", []]],
        ]
        layout = Layout(slots, self.B)
        asked = (self.B[0], 6380)
        assert layout.owners[:6] == [self.A, self.A, NOBODY, NOBODY, NOBODY, asked]
        assert layout.owners[-1] == asked
        assert (layout.primaries, layout.replicas) == ({self.A, asked}, {self.C})

    def test_who_does_not_answer_is_asked_last_from_then_on(self):
        survey = self.survey()
        questions = survey.questions()
        assert next(questions) == (self.A, True)
        survey.miss(self.A, TimeoutError())
        assert next(questions) == (self.B, True)
        survey.take(self.B, self.answer(self.B))
        assert list(questions) == []
        assert survey.guide == self.B
        assert survey.layout.primaries == {self.B}
        assert survey.known() == [self.B, self.C, self.A]

    def test_if_nobody_is_quick_they_are_given_time(self):
        survey = self.survey()
        asked = []
        for endpoint, is_quick in survey.questions():
            asked.append((endpoint, is_quick))
            if asked[-1] == (self.B, False):
                survey.take(endpoint, self.answer(self.C))
            else:
                survey.miss(endpoint, TimeoutError())
        assert asked == [
            (self.A, True),
            (self.B, True),
            (self.C, True),
            (self.A, False),
            (self.B, False),
        ]
        assert survey.layout.primaries == {self.C}

    def test_one_that_is_cut_off_is_believed_if_nobody_else_answers(self):
        for others, believed in [("ok", self.B), ("fail", self.A)]:
            survey = self.survey()
            for endpoint, _ in survey.questions():
                if endpoint == self.C:
                    survey.miss(endpoint, TimeoutError())
                else:
                    state = "fail" if endpoint == self.A else others
                    survey.take(endpoint, self.answer(endpoint, state))
            assert survey.layout.primaries == {believed}
            assert survey.guide == (self.B if others == "ok" else None)

    def test_who_is_silent_is_not_asked_for_a_while_and_then_last(self, monkeypatch):
        clock = [0.0]
        monkeypatch.setattr(silence_module, "monotonic", lambda: clock[0])
        silence = Silence(2)
        silence.begin(self.A)
        for now, asked in [(1.0, [self.B, self.C]), (2.0, [self.B, self.C, self.A])]:
            clock[0] = now
            survey = self.survey(silence)
            found = []
            for endpoint, is_quick in survey.questions():
                assert is_quick
                found.append(endpoint)
                survey.take(endpoint, self.answer(endpoint, "fail"))
            assert found == asked
        assert self.A not in silence, "it answered"


class TestSilence:
    A, B = ("10.0.0.1", 6379), ("10.0.0.2", 6379)

    def test_one_request_tries_a_silent_node_while_others_fail(self, monkeypatch):
        clock = [0.0]
        monkeypatch.setattr(silence_module, "monotonic", lambda: clock[0])
        silence = Silence(2)
        assert silence.admit([self.A, self.B]) is None
        silence.begin(self.A)
        assert silence.admit([self.B, self.A]) == self.A
        assert silence.admit([self.B]) is None
        clock[0] = 2.0
        assert silence.admit([self.B, self.A]) is None
        assert silence.admit([self.A]) == self.A
        silence.end([self.A])
        assert silence.admit([self.A]) is None
        assert not silence

    def test_who_left_is_forgotten(self):
        silence = Silence(2)
        silence.begin(self.A)
        silence.begin(self.B)
        silence.keep([self.B])
        assert self.A not in silence
        assert self.B in silence


@pytest.fixture
def frozen(cluster: servers.RedisCluster) -> Iterator[servers.RedisServer]:
    """The node of the address, stopped in its tracks: connections are taken, nothing answers."""
    for node in cluster.nodes:
        with node.client() as client:
            # Nobody is to give it up during the test.
            client.config_set("cluster-node-timeout", 60_000)
    node = cluster.nodes[0]
    yield node
    os.kill(node.pid, signal.SIGCONT)
    for node in cluster.nodes:
        with node.client() as client:
            client.config_set("cluster-node-timeout", 5_000)


def freeze(node: servers.RedisServer) -> None:
    os.kill(node.pid, signal.SIGSTOP)


Ask = Callable[[RedisStore, asyncio.Runner], object]


class TestSilentNode:
    TIMEOUT_S = 1.0

    @pytest.mark.parametrize(
        "ask",
        [
            lambda store, loop: store.read(KEYS),
            lambda store, loop: loop.run(store.read_async(KEYS)),
            lambda store, loop: store.write(KEYS, [row(1)] * len(KEYS)),
            lambda store, loop: store.generation(),
            lambda store, loop: store.ping(),
        ],
        ids=["read", "read_async", "write", "generation", "ping"],
    )
    def test_not_every_request_waits_for_it(self, cluster, frozen, ask: Ask):
        with RedisStore(cluster.url, timeout_s=self.TIMEOUT_S) as store, asyncio.Runner() as loop:
            ask(store, loop)
            freeze(frozen)
            began = time.monotonic()
            for _ in range(20):
                with pytest.raises(StoreUnavailableError, match="did not answer"):
                    ask(store, loop)
            # Two in the worst case, and room for a slow machine.
            assert time.monotonic() - began < 5 * self.TIMEOUT_S
            os.kill(frozen.pid, signal.SIGCONT)
            servers.wait_until(lambda: self.works(store, loop, ask), "it is asked again", 10)
            for _ in range(3):
                ask(store, loop)

    def test_others_are_read_and_written_meanwhile(self, cluster, frozen):
        with RedisStore(cluster.url, timeout_s=self.TIMEOUT_S) as store, asyncio.Runner() as loop:
            keys = [k for k in KEYS if store._server._cluster.owners[key_slot(k)][1] != frozen.port]
            freeze(frozen)
            with pytest.raises(StoreUnavailableError):
                store.read(KEYS)
            assert store.write(keys, [row(5)] * len(keys)) == len(keys)
            assert store.read(keys) == [row(5)] * len(keys)
            assert loop.run(store.read_async(keys)) == [row(5)] * len(keys)

    @staticmethod
    def works(store: RedisStore, loop: asyncio.Runner, ask: Ask) -> bool:
        try:
            ask(store, loop)
        except StoreUnavailableError:
            return False
        return True


class TestOutage:
    def test_a_slot_that_is_served_again_is_read_again(self, store, cluster):
        slot = key_slot(KEYS[7])
        owner = next(n for n in cluster.nodes if n.port == store._server._cluster.owners[slot][1])
        for node in cluster.nodes:
            with node.client() as client:
                client.execute_command("CLUSTER DELSLOTS", slot)
        with pytest.raises(StoreUnavailableError, match=f"slot {slot}"):
            store.read(KEYS)
        with owner.client() as client:
            client.execute_command("CLUSTER ADDSLOTS", slot)
        servers.wait_until(lambda: self.works(store), "somebody serves it", 20)
        # Its owner dropped the rows of a slot that it no longer had.
        assert None not in store.read([k for k in KEYS if key_slot(k) != slot])

    def test_one_node_down_and_up_again(self):
        with servers.redis_cluster() as cluster, RedisStore(cluster.url) as store:
            store.write(KEYS, [row(1)] * len(KEYS))
            # The node of the address: the others must be asked what became of it.
            lost = cluster.nodes[0]
            lost.stop()
            for _ in range(2):
                with pytest.raises(StoreUnavailableError):
                    store.read(KEYS)
                with pytest.raises(StoreUnavailableError):
                    store.write(KEYS, [row(2)] * len(KEYS))
                with pytest.raises(StoreUnavailableError):
                    asyncio.run(store.read_async(KEYS))
                with pytest.raises(StoreUnavailableError):
                    store.ping()
            lost.start()
            servers.wait_until(lambda: self.works(store), "the cluster has healed")
            # The node kept nothing on disk: its rows are gone, and may be written again.
            assert store.write(KEYS, [row(3)] * len(KEYS)) == len(KEYS)
            assert store.read(KEYS) == [row(3)] * len(KEYS)

    @staticmethod
    def works(store: RedisStore) -> bool:
        try:
            store.read(KEYS)
        except StoreUnavailableError:
            return False
        return True


class TestOpening:
    def test_a_node_is_no_single_server(self, redis_cluster):
        with pytest.raises(StoreConfigError, match=r"redis\+cluster://"):
            RedisStore(redis_cluster.nodes[0].url)

    def test_any_node_will_do(self, redis_cluster, client):
        for node in redis_cluster.nodes:
            with RedisStore(node.url, cluster=True) as store:
                assert set(store._server._cluster.owners) == {
                    ("127.0.0.1", n.port) for n in redis_cluster.nodes
                }
                assert len(store._server._cluster.owners) == SLOTS

    def test_every_node_must_not_evict(self, redis_cluster):
        with redis_cluster.nodes[2].client() as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", "50mb")
            try:
                with pytest.raises(StoreConfigError, match="noeviction"):
                    RedisStore(redis_cluster.url)
            finally:
                client.config_set("maxmemory", "0")
                client.config_set("maxmemory-policy", "noeviction")
