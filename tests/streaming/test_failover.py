"""Shards of a Redis Cluster that lose what they acknowledged get it again from the state.

Killing a primary loses nothing: the kernel still delivers what it had sent to its replica. So each
node is a host of its own: the primary is first cut off from its replica, and acknowledges rows
that it alone has; then it dies, or is cut off from the other nodes, and the replica takes over.

What nodes hold is asked of them past the network, through a socket in the file system, and past
noskew: a question to the store under test might be what repairs it.
"""

from __future__ import annotations

import asyncio
import math
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import or_
from pathlib import Path
from threading import Event

import pytest
import redis

import noskew as ns
from noskew.addresses import OnlineRows, Tenant, is_entity_key
from noskew.config import Config, OnlineConfig
from noskew.errors import StoreUnavailableError
from noskew.kernel.rows.codec import version_of
from noskew.stores.online import open_store
from noskew.stores.online.redis.routing import key_slot
from noskew.streaming.publish import publisher
from noskew.streaming.workers.processor import Processor
from noskew.testing.online_store import row
from tests import chaos, servers
from tests.network import Host, Network, network
from tests.servers import wait_until
from tests.streaming import shop
from tests.streaming.test_lost_rows import running
from tests.streaming.test_streams import contents, expected

pytestmark = pytest.mark.chaos

#: Each node is alone on its host.
_PORT, _BUS_PORT = 6379, 16379
#: The slots of the three primaries, each from one bound to before the next.
_BOUNDS = (0, 5_461, 10_923, 16_384)
#: How soon all is well again once the new primary can be reached.
_SOON_S = 5.0

Rows = dict[bytes, bytes]


class Node(servers.RedisServer):
    """A node of a cluster, on a host of its own."""

    def __init__(self, host: Host, directory: Path) -> None:
        options = (
            *("--bind", host.address, "--protected-mode", "no"),
            *("--unixsocket", str(directory / "socket")),
            *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
            # A replica may take over however long ago it heard of its primary.
            *("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"),
        )
        super().__init__(_PORT, directory, options)
        self.host = host

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """redis-py on this node, even when no packet reaches it."""
        with redis.Redis(unix_socket_path=str(self.directory / "socket")) as client:
            yield client

    def held(self) -> Rows:
        """Every key and row that this node has."""
        with self.client() as client:
            keys = list(client.scan_iter(count=1_000))
            with client.pipeline(transaction=False) as pipe:
                pipe.readonly()  # a replica would refer to its primary
                for key in keys:
                    pipe.get(key)
                return dict(zip(keys, pipe.execute()[1:], strict=True))

    def serves(self) -> bool:
        """Whether it is a primary, and sees enough of the others to answer."""
        with self.client() as client:
            is_primary = client.info("replication")["role"] == "master"
            return is_primary and client.cluster("info")["cluster_state"] == "ok"

    def _launch(self, command: Sequence[str], **options: object) -> None:
        super()._launch(self.host.command(command), **options)


class Cluster:
    """Three primaries; the first, which clients know and which has slot 0, has a replica."""

    def __init__(self, net: Network, nodes: Sequence[Node]) -> None:
        self._network, self._nodes = net, nodes
        *self._serving, self.replica = nodes
        self.primary = nodes[0]
        # A server that vanished is noticed by a call that waits in vain.
        self.url = f"redis+cluster://{self.primary.host.address}:{_PORT}?timeout_s=0.5"

    def join(self) -> None:
        """Share out the slots, introduce the nodes, and wait until all serve."""
        for at, node in enumerate(self._serving):
            with node.client() as client:
                slots = _BOUNDS[at], _BOUNDS[at + 1] - 1
                client.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", at + 1)
        with self.primary.client() as client:
            for other in self._nodes[1:]:
                client.execute_command("CLUSTER MEET", other.host.address, _PORT, _BUS_PORT)
            name = client.execute_command("CLUSTER MYID").decode()
        with self.replica.client() as client:
            wait_until(lambda: name in str(client.cluster("nodes")), "the replica has met it")
            client.execute_command("CLUSTER REPLICATE", name)
            wait_until(lambda: _link(client) == "up", "the replica follows")
        wait_until(self._serve, "the cluster serves")

    def held(self) -> Rows:
        """Every key and row that a serving primary has."""
        return {key: found for node in self._serving for key, found in node.held().items()}

    def keep_back(self) -> None:
        """Let the replica have all that the primary has by now, and nothing that comes.

        Until :meth:`show`, clients do not reach it, either.
        """
        wait_until(lambda: self.replica.held() == self.primary.held(), "the replica is level")
        self._network.cut(self.replica.host, self.primary.host)
        self._network.cut(self.replica.host, self._network.here)

    def await_known(self) -> None:
        """Wait until the primary tells clients of its replica, which must have something."""
        address = self.replica.host.address
        with self.primary.client() as client:
            wait_until(lambda: address in str(client.cluster("slots")), "the replica is known")

    def hide_others(self) -> None:
        """Let clients reach no node but the primary and its replica."""
        for node in self._serving[1:]:
            self._network.cut(node.host, self._network.here)

    def destroy(self) -> None:
        """Let the primary vanish without a word."""
        self._network.destroy(self.primary.host)

    def isolate(self) -> None:
        """Let clients reach the primary, and no other node."""
        for node in self._nodes[1:]:
            self._network.cut(self.primary.host, node.host)

    def await_takeover(self) -> None:
        """Wait until the replica serves in the place of the primary."""
        self._serving[0] = self.replica
        wait_until(self._serve, "the replica takes over")

    def show(self) -> None:
        """Let clients reach the replica."""
        self._network.heal(self.replica.host, self._network.here)

    def _serve(self) -> bool:
        return all(node.serves() for node in self._serving)


def _link(client: redis.Redis) -> str | None:
    status: str | None = client.info("replication").get("master_link_status")
    return status


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with network(4) as net, ExitStack() as stack:
        nodes = []
        for host in net.hosts:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="noskew-redis-"))
            node = Node(host, Path(directory))
            # If it were asked to end, a primary would wait for its replica.
            stack.callback(node.stop, signal.SIGKILL)
            node.start()
            nodes.append(node)
        made = Cluster(net, nodes)
        made.join()
        yield made


@contextmanager
def opened(root: Path, url: str) -> Iterator[ns.FeatureStore]:
    """The shop, online at an address."""
    config = Config(project="shop", online=OnlineConfig(url=url))
    with ns.FeatureStore(root, config=config, clock=shop.FixedClock(shop.NOW)) as made:
        made.apply([shop.service()])
        yield made


@pytest.fixture
def store(tmp_path: Path, cluster: Cluster) -> Iterator[ns.FeatureStore]:
    with opened(tmp_path, cluster.url) as made:
        yield made


def push(store: ns.FeatureStore, seed: int) -> None:
    """Orders, known later than those before."""
    store.clock.advance("1s")  # type: ignore[attr-defined]
    store.push("orders", shop.orders(400, seed))


def of_entities(held: Rows) -> Rows:
    return {key: found for key, found in held.items() if is_entity_key(key)}


def await_published(store: ns.FeatureStore, cluster: Cluster) -> None:
    """Wait until primaries acknowledged every row of what was pushed."""
    wanted = expected(store)
    wait_until(lambda: of_entities(cluster.held()) == wanted, "everything is online")


def frontiers(store: ns.FeatureStore) -> list[set[bytes]]:
    """The keys of each turn, view and partition that say up to where rows were published."""
    views = store.applied.project.views.values()
    prefixes = [Tenant("shop").rows_of(view.definition_hash).prefix for view in views]
    return [
        set(OnlineRows(p).frontier(number, turn))
        for p in prefixes
        for number in (0, 1)
        for turn in (0, 1)
    ]


def await_confirmed(store: ns.FeatureStore, cluster: Cluster) -> None:
    """Wait until every shard acknowledged, too, that this is everything: in one of both turns."""
    turns = frontiers(store)
    now = store.clock.now()  # type: ignore[attr-defined]

    def is_confirmed() -> bool:
        held = cluster.held()
        told = [all(k in held and version_of(held[k])[0] == now for k in keys) for keys in turns]
        return all(map(or_, told[::2], told[1::2]))

    wait_until(is_confirmed, "everything is confirmed")


def missing(node: Node, acknowledged: Rows) -> int:
    """How many rows a node lacks, or has only an older version of."""
    held = node.held()
    return sum(held.get(key, b"") < found for key, found in acknowledged.items())


def assert_repaired(
    store: ns.FeatureStore, cluster: Cluster, processor: Processor, lost: int
) -> None:
    """Let clients reach the new primary, and see that soon nothing is missing."""
    assert lost, "the nemesis left its trace"
    wanted = expected(store)
    assert of_entities(cluster.held()) != wanted, "nobody can have repaired it"
    cluster.show()
    wait_until(lambda: of_entities(cluster.held()) == wanted, "every row is back", _SOON_S)
    wait_until(lambda: processor.published_again >= lost, "they are counted", _SOON_S)
    wait_until(lambda: processor.fault is None, "the processor is content", _SOON_S)
    chaos.note(
        "a Redis primary is lost, with writes that it acknowledged",
        faults=1,
        traces=1,
        compared=len(wanted),
    )


#: What becomes of the primary.
End = Callable[[Cluster], None]


@pytest.mark.parametrize(
    ("end", "goes_on"),
    [(Cluster.destroy, False), (Cluster.destroy, True), (Cluster.isolate, False)],
    ids=["destroyed-quiet", "destroyed-busy", "isolated-quiet"],
)
def test_rows_that_died_with_their_primary_are_published_again(
    store: ns.FeatureStore, cluster: Cluster, end: End, goes_on: bool
) -> None:
    """Quiet: nothing is to be published when the primary is gone. Busy: rows wait for it."""
    push(store, 1)
    with running(store) as processor:
        await_published(store, cluster)
        await_confirmed(store, cluster)
        cluster.keep_back()
        push(store, 2)
        await_published(store, cluster)
        await_confirmed(store, cluster)
        acknowledged = of_entities(cluster.primary.held())
        end(cluster)
        if goes_on:
            push(store, 3)
        cluster.await_takeover()
        lost = missing(cluster.replica, acknowledged)
        assert_repaired(store, cluster, processor, lost)


def test_rows_that_nobody_confirmed_before_their_primary_died_are_published_again(
    store: ns.FeatureStore, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frontier is as it was; that another server has the rows is all that tells."""
    push(store, 1)
    with running(store) as processor:
        await_published(store, cluster)
        await_confirmed(store, cluster)
        cluster.keep_back()
        monkeypatch.setattr(publisher, "_CONFIRM_S", math.inf)
        push(store, 2)
        await_published(store, cluster)
        acknowledged = of_entities(cluster.primary.held())
        cluster.destroy()
        monkeypatch.undo()
        cluster.await_takeover()
        lost = missing(cluster.replica, acknowledged)
        assert_repaired(store, cluster, processor, lost)


@pytest.mark.parametrize("end", [Cluster.destroy, Cluster.isolate], ids=["destroyed", "isolated"])
def test_readers_find_the_new_primary(cluster: Cluster, end: End) -> None:
    """One that blocks and one that does not; neither writes, and nobody else helps them."""
    keys = [b"%d" % i for i in range(100)]
    wanted = [row(1, key) for key in keys]
    with open_store(cluster.url) as one, open_store(cluster.url) as two, asyncio.Runner() as loop:
        one.write(keys, wanted)
        assert one.read(keys) == loop.run(two.read_async(keys)) == wanted
        wait_until(lambda: cluster.replica.held() == cluster.primary.held(), "it is replicated")
        end(cluster)
        cluster.await_takeover()
        blocking = given(lambda: one.read(keys))
        wait_until(lambda: blocking() == wanted, "one that blocks reads", _SOON_S)
        waiting = given(lambda: loop.run(two.read_async(keys)))
        wait_until(lambda: waiting() == wanted, "one that does not reads", _SOON_S)


def test_a_replica_can_be_asked_who_has_the_slots(cluster: Cluster) -> None:
    """It took over, and is all of the cluster that a reader can still reach."""
    keys = [key for key in map(b"%d".__mod__, range(100)) if key_slot(key) < _BOUNDS[1]]
    wanted = [row(1, key) for key in keys]
    with open_store(cluster.url) as writer:
        writer.write(keys, wanted)
    wait_until(lambda: cluster.replica.held() == cluster.primary.held(), "it is replicated")
    cluster.await_known()
    with open_store(cluster.url) as store:
        cluster.hide_others()
        cluster.destroy()
        cluster.await_takeover()
        reading = given(lambda: store.read(keys))
        wait_until(lambda: reading() == wanted, "the replica was asked", _SOON_S)


def given(read: Callable[[], list[bytes | None]]) -> Callable[[], list[bytes | None]]:
    """What ``read`` gives, and nothing while the store is unavailable."""

    def attempt() -> list[bytes | None]:
        try:
            return read()
        except StoreUnavailableError:
            return []

    return attempt


def test_rows_of_one_shard_come_back_after_flushall(
    tmp_path: Path, redis_cluster: servers.RedisCluster
) -> None:
    with redis_cluster.client() as client:
        client.flushall(target_nodes="primaries")
    with opened(tmp_path, redis_cluster.url) as store:
        push(store, 1)
        with running(store) as processor:
            first = expected(store)
            wait_until(lambda: contents(store) == first, "everything is online")
            with redis_cluster.nodes[1].client() as client:
                lost = sum(map(is_entity_key, client.scan_iter()))
                client.flushall()
            assert 0 < lost < len(first), "the nemesis left its trace"
            push(store, 2)
            wanted = expected(store)
            wait_until(lambda: contents(store) == wanted, "everything is back", _SOON_S)
            wait_until(lambda: processor.published_again >= lost, "it is counted", _SOON_S)
        chaos.note("FLUSHALL", faults=1, traces=1, compared=len(wanted))


def restart(server: servers.RedisServer) -> None:
    server.stop()
    server.start()


def flush(server: servers.RedisServer) -> None:
    with server.client() as client:
        client.flushall()


@pytest.mark.parametrize("lose", [restart, flush])
def test_rows_come_back_that_were_lost_just_before_the_frontier_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Callable[[servers.RedisServer], None]
) -> None:
    """The frontier was read before, and written after: it looks as if nothing had happened."""
    with servers.redis_server() as server, opened(tmp_path, server.url) as store:
        write, armed = store.online.write, Event()
        keys = set().union(*frontiers(store))

        def lose_first(written: Sequence[bytes], rows: Sequence[bytes]) -> int:
            if armed.is_set() and keys.issuperset(written):
                lose(server)
                armed.clear()
            return write(written, rows)

        monkeypatch.setattr(store.online, "write", lose_first)
        push(store, 1)
        with running(store):
            first = expected(store)
            wait_until(lambda: contents(store) == first, "everything is online")
            armed.set()
            push(store, 2)
            wanted = expected(store)
            wait_until(lambda: not armed.is_set(), "everything is lost")
            wait_until(lambda: contents(store) == wanted, "everything is back", _SOON_S)
        chaos.note(
            "a Redis is emptied between look and frontier", faults=1, traces=1, compared=len(wanted)
        )
