"""A real Kafka broker for tests: one node, on free loopback ports, ended by its process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import _START_TIMEOUT_S, _directory, _Process, _started, binary, free_port

#: A broker that runs already; its topics are left alone.
VARIABLE = "KAFKA_BOOTSTRAP"
_POM = Path(__file__).parent / "kafka" / "pom.xml"
#: The version is the folder's name, so that a newer pom gets a folder of its own.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "noskew-kafka"
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class KafkaServer(_Process):
    """A broker that is its own controller. Topics are made by tests, each its own."""

    def __init__(self, port: int, directory: Path) -> None:
        super().__init__(port, directory)
        self._controller_port = free_port()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        java = binary("java", "openjdk-17-jre-headless")
        settings = self.directory / "server.properties"
        if not settings.exists():
            lines = [f"{name}={value}" for name, value in self._settings().items()]
            settings.write_text("\n".join(lines))
            format_storage = [
                *("kafka.tools.StorageTool", "format", "--cluster-id", "AAAAAAAAAAAAAAAAAAAAAA"),
                *("--config", str(settings)),
            ]
            self._launch([java, *_JVM, "-cp", _class_path(), *format_storage])
            assert self._process is not None
            if self._process.wait(_START_TIMEOUT_S) != 0:
                raise ChildProcessError((self.directory / "log").read_text(errors="replace"))
        self._launch([java, *_JVM, "-cp", _class_path(), "kafka.Kafka", str(settings)])
        self._await(self._answers)

    def signal(self, which: signal.Signals) -> None:
        """Send a signal to the broker."""
        os.kill(self.pid, which)

    def _settings(self) -> dict[str, object]:
        broker, controller = f"127.0.0.1:{self.port}", f"127.0.0.1:{self._controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{broker}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.directory / "data",
            "log.message.timestamp.type": "LogAppendTime",
            "auto.create.topics.enable": "false",
            # It lives for one test run: nothing is kept twice, and nobody is waited for.
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.min.isr": 1,
            "broker.heartbeat.interval.ms": 100,
            # A broker that was killed is let in again after so long.
            "broker.session.timeout.ms": 2_000,
            "controller.quorum.election.timeout.ms": 100,
            "controller.quorum.election.backoff.max.ms": 100,
            "num.network.threads": 1,
            "num.io.threads": 2,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
        }

    def _answers(self) -> bool:
        # The port opens when the broker is ready for clients.
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@contextmanager
def kafka_server() -> Iterator[KafkaServer]:
    """A running broker."""
    binary("java", "openjdk-17-jre-headless")
    _class_path()
    with _directory("kafka") as directory:
        server = _started(lambda: KafkaServer(free_port(), directory))
        try:
            yield server
        finally:
            server.stop()


def _class_path() -> str:
    """Kafka's files. Without them the test is skipped, or fails under CI."""
    places = subprocess.run(
        ["cksum", _POM], capture_output=True, text=True, check=True
    ).stdout.split()
    directory = _CACHE / places[0]
    if not (directory / ".complete").exists():
        message = f"Kafka's files are not in {directory}; fetch them: scripts/system_packages.sh"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(message)
        pytest.skip(message)
    return str(directory / "*")
