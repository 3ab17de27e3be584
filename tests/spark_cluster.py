"""A standalone cluster of Spark for tests: a master and two workers, on loopback, by their pids."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyspark

from tests.servers import free_port, wait_until

WORKERS = 2
_HOST = "127.0.0.1"
#: Tasks import the definitions of tests.
_ROOT = Path(__file__).resolve().parents[1]
_START_TIMEOUT_S = 90.0
#: Java that lives for a minute: it is not worth compiling much.
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class SparkCluster:
    """Processes of the pyspark package. Each worker has one core and runs one executor."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        self.master = ""

    def start(self) -> None:
        """Return when every worker has registered with the master."""
        port = free_port()
        self.master = f"spark://{_HOST}:{port}"
        at = ["--host", _HOST, "--webui-port", "0"]
        self._launch("master", ["master.Master", *at, "--port", str(port)])
        self._await("I have been elected leader", "master")
        for number in range(WORKERS):
            name = f"worker-{number}"
            own = ["--cores", "1", "--memory", "700m", "--work-dir", str(self._directory / name)]
            self._launch(name, ["worker.Worker", *at, "--port", "0", *own, self.master])
            self._await("Successfully registered with master", name)

    def stop(self) -> None:
        """End the workers, which end their executors, and then the master."""
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def _launch(self, name: str, command: Sequence[str]) -> None:
        home = Path(pyspark.__file__).parent
        own = {
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": _HOST,
            "PYTHONPATH": str(_ROOT),
            "SPARK_DAEMON_MEMORY": "256m",
        }
        with (self._directory / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [
                        home / "bin" / "spark-class",
                        f"org.apache.spark.deploy.{command[0]}",
                        *command[1:],
                    ],
                    env={**os.environ, **own, "SPARK_DAEMON_JAVA_OPTS": JAVA},
                    cwd=self._directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def _await(self, line: str, name: str) -> None:
        process, log = self._processes[-1], self._directory / f"{name}.log"
        wait_until(
            lambda: process.poll() is not None or line in log.read_text(errors="replace"),
            f"the {name} of Spark says {line!r}",
            _START_TIMEOUT_S,
        )
        if process.poll() is not None:
            raise ChildProcessError(log.read_text(errors="replace")[-2000:])


@contextmanager
def spark_cluster() -> Iterator[SparkCluster]:
    """A running cluster, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="noskew-spark-") as directory:
        cluster = SparkCluster(Path(directory))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
