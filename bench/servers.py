"""Servers that the benchmarks measure against, on free loopback ports."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Return once ``ready()`` is true. It polls: another process cannot notify this one."""
    deadline = time.monotonic() + timeout_s
    never = threading.Event()
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s} s in vain for {what}")
        never.wait(0.02)


@contextmanager
def process(
    command: Sequence[str], port: int, *, timeout_s: float = 60.0, **options: object
) -> Iterator[subprocess.Popen[str]]:
    """A process that listens on ``port``; ended by its id."""
    with tempfile.TemporaryFile("w+") as log:
        started = subprocess.Popen(command, stdout=log, stderr=log, text=True, **options)  # type: ignore[call-overload]
        try:
            wait_until(lambda: started.poll() is not None or _listens(port), command[0], timeout_s)
            if started.poll() is not None:
                log.seek(0)
                raise RuntimeError(f"{' '.join(command)} ended:\n{log.read()[-3000:]}")
            yield started
        finally:
            started.terminate()
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


@contextmanager
def redis_server() -> Iterator[int]:
    """The port of a private Redis that keeps nothing on disk."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise RuntimeError("redis-server is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="noskew-bench-redis-") as folder:
        command = [
            *(binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder),
            *("--save", "", "--appendonly", "no", "--loglevel", "warning"),
        ]
        with process(command, port):
            yield port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
