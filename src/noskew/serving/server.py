"""``serve``: run the HTTP server of a project until it is told to stop."""

from __future__ import annotations

import ipaddress
import multiprocessing
import os
import socket
import tempfile
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from noskew import config as configuration
from noskew.clock import to_micros
from noskew.errors import ConfigError, missing_extra

#: How long requests under way may take after the signal to stop.
_GRACE_S = 30


def serve(
    root: str | Path,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    *,
    insecure: bool = False,
    at: int | str | datetime | None = None,
) -> None:
    """Serve the features of the project in ``root`` over HTTP, until SIGTERM or SIGINT.

    It then takes no new connections, answers the requests under way, closes the stores and
    returns. Must be called in the main thread, of a process that does nothing else: it sets
    signal handlers and how processes are started.

    Parameters
    ----------
    host, port, workers
        Where to listen and how many processes answer; by default as ``noskew.toml`` says.
    insecure
        Listen where other machines can reach it, although anybody who can may read everything.
    at
        Answer as of this time instead of now: for demonstrations and replays.

    Raises ConfigError for an address that is not of this machine, not loopback (unless
    ``insecure``) or taken, MissingExtraError without the ``serve`` extra, and InputError for a
    time that is none.
    """
    root = Path(root).resolve()
    settings = configuration.load(root).serve
    address = _address(settings.host if host is None else host, insecure)
    port = settings.port if port is None else port
    workers = settings.workers if workers is None else workers
    if workers < 1:
        raise ConfigError(f"serve.workers must be at least 1, got {workers}")
    _check_free(address, port)
    moment = None if at is None else to_micros(at)
    with tempfile.TemporaryDirectory(prefix="noskew-metrics-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        # A forked worker would share what this process has open and the locks of its threads.
        multiprocessing.set_start_method("spawn", force=True)
        _server(address, port, workers).serve(
            target_loader=partial(_load, str(root), moment), wrap_loader=False
        )


def _load(root: str, at: int | None) -> Any:
    """In each worker: its application."""
    # Not in the process that starts the workers: it answers nothing.
    from noskew.serving.http.worker import build

    return build(root, at)


def _server(address: str, port: int, workers: int) -> Any:
    try:
        from granian.constants import HTTPModes, Interfaces
        from granian.http import HTTP1Settings
        from granian.log import LogLevels
        from granian.server import MPServer

        from noskew.serving.http.metrics import forget_worker
    except ImportError as error:
        raise missing_extra("granian", "serve", "noskew serve") from error

    class Server(MPServer):
        def _respawn_workers(self, workers: list[int], *args: Any, **options: Any) -> None:
            ended = [self.wrks[i].inner.pid for i in workers]
            super()._respawn_workers(workers, *args, **options)
            for pid in ended:
                forget_worker(pid)

    return Server(
        "noskew",
        address=address,
        port=port,
        interface=Interfaces.RSGI,
        workers=workers,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(),
        websockets=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=_GRACE_S,
    )


def _address(host: str, insecure: bool) -> str:
    """The IP address to listen on."""
    try:
        ip = str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise ConfigError(
            f"serve.host {host!r} is not an address of this machine: {error}"
        ) from error
    if not ipaddress.ip_address(ip.partition("%")[0]).is_loopback and not insecure:
        raise ConfigError(
            f"refusing to listen on {host!r}: other machines could read every feature and push "
            f"events, since this server asks nobody who they are and encrypts nothing. Listen on "
            f"127.0.0.1 behind a proxy that does both, or pass --insecure if the network itself is "
            f"trusted"
        )
    return ip


def _check_free(address: str, port: int) -> None:
    """Raise ConfigError unless nobody listens there.

    Workers share a port, and so would a second server, of any project: each would get some of
    the requests meant for the other.
    """
    if not 1 <= port <= 65_535:
        raise ConfigError(f"serve.port must be 1 to 65535, got {port}")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {address}, port {port}: {error.strerror}; choose another port, "
                f"or stop who has it"
            ) from error
