"""A real feature server in a process of its own, on a free port, and a project for it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.servers import free_port, wait_until

_RUN = """
import sys
from noskew.serving.server import serve
root, host, port, workers, at = sys.argv[1:]
serve(root, host, int(port), int(workers), insecure=host == "0.0.0.0", at=int(at) if at else None)
"""


class FeatureServer:
    """``serve`` of a project, in a process of its own."""

    def __init__(
        self, root: Path, *, host: str = "127.0.0.1", workers: int = 1, at: int | None = None
    ) -> None:
        self.root, self.port = root, free_port()
        moment = "" if at is None else str(at)
        self._arguments = [str(root), host, str(self.port), str(workers), moment]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.root / "server.log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with (self.root / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _RUN, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_until_alive()

    def wait_until_alive(self) -> None:
        wait_until(lambda: self._ended() or self.status("/healthz") == 200, "the server lives", 60)
        assert not self._ended(), self.log

    def wait_until_ready(self) -> None:
        try:
            wait_until(lambda: self._ended() or self.status("/readyz") == 200, "it is ready", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log:\n{self.log[-4000:]}") from error
        assert not self._ended(), self.log

    def status(self, path: str) -> int:
        """The status of a GET; 0 if nobody answers."""
        try:
            return httpx.get(self.url + path, timeout=10).status_code
        except httpx.TransportError:
            return 0

    def signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(which)

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        assert self._process is not None
        return self._process.wait(40)

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self.signal(signal.SIGINT)
        try:
            assert self.wait() == 0, self.log
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None


@contextmanager
def running(
    root: Path,
    *,
    host: str = "127.0.0.1",
    workers: int = 1,
    at: int | None = None,
    ready: bool = True,
) -> Iterator[FeatureServer]:
    server = FeatureServer(root, host=host, workers=workers, at=at)
    try:
        server.start()
        if ready:
            server.wait_until_ready()
        yield server
    finally:
        server.stop()


def write_config(root: Path, *lines: str, sections: Sequence[str] = ()) -> None:
    """``noskew.toml`` with everything in ``root``."""
    text = ['project = "shop"', *lines, "[offline]", "buckets = 1", *sections]
    (root / "noskew.toml").write_text("\n".join(text), encoding="utf-8")
