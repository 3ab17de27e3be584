"""Real servers for tests, each started on a free loopback port and ended by its process id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import redis

_START_TIMEOUT_S = 60.0
_PORT_ATTEMPTS = 5
_SLOTS = 16_384
_Server = TypeVar("_Server", bound="_Process")


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
    """Return once ``condition()`` is true. It polls: other processes cannot notify this one."""
    deadline = time.monotonic() + timeout_s
    never = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain until {what}"
        never.wait(0.01)


def binary(name: str, package: str, extra_paths: Sequence[Path] = ()) -> str:
    """The path of a server's binary. Without it the test is skipped, or fails under CI."""
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, extra_paths)])
    found = shutil.which(name, path=places)
    if found is None:
        message = f"{name} is not installed; on Debian or Ubuntu: apt-get install {package}"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def free_port() -> int:
    """A port that was free a moment ago; whoever uses it must cope with losing the race."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Process:
    """A server process with its own directory and port."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process and return when it answers. Raises ChildProcessError if it ends."""
        raise NotImplementedError

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process, if it runs, and wait until it has ended."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _launch(self, command: Sequence[str], **options: object) -> None:
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **options,  # type: ignore[call-overload]
            )

    def _await(self, is_ready: Callable[[], bool]) -> None:
        process = self._process
        assert process is not None
        wait_until(
            lambda: process.poll() is not None or is_ready(),
            f"the server on port {self.port} is ready",
            _START_TIMEOUT_S,
        )
        if process.poll() is not None:
            self._process = None
            log = (self.directory / "log").read_text(errors="replace")
            raise ChildProcessError(f"the server on port {self.port} ended:\n{log[-2000:]}")


class RedisServer(_Process):
    """A standalone Redis that keeps nothing on disk; ``start`` again after ``stop``."""

    def __init__(self, port: int, directory: Path, options: Sequence[str] = ()) -> None:
        super().__init__(port, directory)
        self._options = options

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """redis-py on this server: an independent way in."""
        with redis.Redis(port=self.port) as client:
            yield client

    def start(self) -> None:
        command = [
            binary("redis-server", "redis-server"),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)),
            *("--save", "", "--appendonly", "no", *self._options),
        ]
        self._launch(command)
        self._await(self._answers)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False


class RedisCluster:
    """Primaries without replicas, which share the slots evenly."""

    def __init__(self, nodes: Sequence[_ClusterNode]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    @contextmanager
    def client(self) -> Iterator[redis.RedisCluster]:
        client = redis.RedisCluster(host="127.0.0.1", port=self.nodes[0].port)
        try:
            yield client
        finally:
            client.close()

    def join(self) -> None:
        """Share out the slots, introduce the nodes, and wait until all agree."""
        share = _SLOTS // len(self.nodes)
        for at, node in enumerate(self.nodes):
            last = _SLOTS if at == len(self.nodes) - 1 else (at + 1) * share
            with node.client() as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", at * share, last - 1)
                # Only a node that knows no other may be given its epoch.
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", at + 1)
        with self.nodes[0].client() as client:
            for other in self.nodes[1:]:
                client.execute_command("CLUSTER MEET", "127.0.0.1", other.port, other.bus_port)
        wait_until(self._is_agreed, "the nodes of the cluster know each other", _START_TIMEOUT_S)

    def _is_agreed(self) -> bool:
        for node in self.nodes:
            with node.client() as client:
                info = client.execute_command("CLUSTER INFO")
                slots = client.execute_command("CLUSTER SLOTS")
            facts = info if isinstance(info, dict) else _facts(info)
            if facts["cluster_state"] != "ok" or len(slots) != len(self.nodes):
                return False
        return True


class _ClusterNode(RedisServer):
    def __init__(self, port: int, bus_port: int, directory: Path) -> None:
        options = (
            *("--cluster-enabled", "yes", "--cluster-port", str(bus_port)),
            *("--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "5000"),
        )
        super().__init__(port, directory, options)
        self.bus_port = bus_port


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """A running Redis, with ``options`` of its command line such as ``"--maxmemory", "4mb"``."""
    binary("redis-server", "redis-server")
    with _directory("redis") as directory:
        server = _started(lambda: RedisServer(free_port(), directory, options))
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def redis_cluster(primaries: int = 3) -> Iterator[RedisCluster]:
    """A running Redis Cluster without replicas."""
    binary("redis-server", "redis-server")
    with ExitStack() as stack:
        nodes = []
        for _ in range(primaries):
            directory = stack.enter_context(_directory("redis-cluster"))
            node = _started(lambda at=directory: _ClusterNode(free_port(), free_port(), at))
            stack.callback(node.stop)
            nodes.append(node)
        cluster = RedisCluster(nodes)
        cluster.join()
        yield cluster


class PostgresServer(_Process):
    """A PostgreSQL with one superuser ``noskew`` and no password, in a directory of its own."""

    _USER = "noskew"

    def __init__(self, port: int, directory: Path) -> None:
        super().__init__(port, directory)
        # PostgreSQL refuses to run as root.
        self._as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        if os.geteuid() != 0:
            self._as_user = {}

    @property
    def url(self) -> str:
        return f"postgresql://{self._USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        data = self.directory / "data"
        if not data.exists():
            if self._as_user:
                shutil.chown(self.directory, "postgres", "postgres")
            initdb = _postgres_binary("initdb")
            self._launch(
                [
                    initdb,
                    "--pgdata",
                    str(data),
                    "--username",
                    self._USER,
                    "--auth",
                    "trust",
                    "--encoding",
                    "UTF8",
                    "--no-locale",
                    "--no-sync",
                ],
                **self._as_user,
            )
            assert self._process is not None
            if self._process.wait(_START_TIMEOUT_S) != 0:
                raise ChildProcessError((self.directory / "log").read_text(errors="replace"))
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "max_connections": "200",
            # It lives for one test run: nothing has to survive the machine.
            "fsync": "off",
            "full_page_writes": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [_postgres_binary("postgres"), "-D", str(data), *options]
        self._launch(command, **self._as_user)
        self._await(self._answers)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        # SIGINT is PostgreSQL's fast shutdown; on SIGTERM it would wait for its clients.
        super().stop(how)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL."""
    _postgres_binary("postgres")
    with _directory("postgres") as directory:
        server = _started(lambda: PostgresServer(free_port(), directory))
        try:
            yield server
        finally:
            server.stop()


class S3Server(_Process):
    """An S3 that keeps objects in memory and takes any key: moto's server."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._launch(command)
        self._await(self._answers)

    def make_bucket(self, name: str) -> None:
        with self._asked("PUT", f"/{name}") as answer:
            assert answer.status == 200

    def _answers(self) -> bool:
        try:
            with self._asked("GET", "/moto-api/"):
                return True
        except OSError:
            return False

    def _asked(self, method: str, path: str) -> HTTPResponse:
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=10)
        return answer


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A running S3."""
    with _directory("s3") as directory:
        server = _started(lambda: S3Server(free_port(), directory))
        try:
            yield server
        finally:
            server.stop()


def _postgres_binary(name: str) -> str:
    # Debian keeps the binaries of each major version apart, and off the search path.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return binary(name, "postgresql", versions)


def _started(make: Callable[[], _Server]) -> _Server:
    """Make and start a server, on another port if somebody took the first meanwhile."""
    for attempt in range(_PORT_ATTEMPTS):
        server = make()
        try:
            server.start()
        except ChildProcessError:
            if attempt == _PORT_ATTEMPTS - 1:
                raise
        except BaseException:
            server.stop()
            raise
        else:
            return server
    raise AssertionError("unreachable")


@contextmanager
def _directory(kind: str) -> Iterator[Path]:
    # Not under pytest's own directory: another system user must be able to reach it.
    with tempfile.TemporaryDirectory(prefix=f"noskew-{kind}-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _facts(text: bytes | str) -> dict[str, str]:
    lines = (text.decode() if isinstance(text, bytes) else text).split()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}
