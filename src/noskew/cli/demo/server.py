"""``noskew serve`` in a process of its own, for as long as it is needed."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from noskew.errors import StoreUnavailableError, missing_extra

_START_S = 90.0
_STOP_S = 20.0


def free_port() -> int:
    """A port of the loopback interface that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(root: Path, at: str) -> Iterator[str]:
    """The address of a server of the project in ``root`` that answers as of ``at``.

    It is ready when this yields, and ended by its process afterwards. Raises
    StoreUnavailableError, with what it wrote, if it does not become ready.
    """
    port = free_port()
    command = [sys.executable, "-m", "noskew.cli", "-C", str(root), "serve"]
    log = root / ".noskew" / "serve.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--at", at],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _await_ready(url, process, log)
            yield url
        finally:
            _end(process)


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    try:
        import httpx
    except ImportError as error:
        raise missing_extra("httpx", "demo", "noskew demo") from error

    deadline = perf_counter() + _START_S
    pause = threading.Event()
    while process.poll() is None and perf_counter() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=2.0, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass  # nobody listens yet
        pause.wait(0.1)  # another process cannot notify this one
    output = log.read_text(errors="replace")[-1_500:]
    raise StoreUnavailableError(f"the server at {url} did not become ready; it wrote:\n{output}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
