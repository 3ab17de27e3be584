"""Processes of their own for tests: forks of one that has imported much and opened nothing.

A process that starts from nothing imports first, which takes longer than what most tests ask of
it. Where the system has a fork server, what it shall have imported is up to the test run::

    multiprocessing.set_forkserver_preload(["my_store"])  # before the first process
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

#: Never "fork": a child of this process would have its threads' locks and its open stores.
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def clean_context() -> BaseContext:
    """What makes pipes and barriers to share with processes that :func:`start` starts."""
    return multiprocessing.get_context(_METHOD)


def start(target: Callable[..., object], *arguments: Any, daemon: bool = False) -> BaseProcess:
    """A running process that calls ``target``, which has a name in its module.

    It has the environment of this process as it is now, and nothing else that is set or open here.
    """
    whole = (dict(os.environ), target, arguments)
    process: BaseProcess = clean_context().Process(  # type: ignore[attr-defined]
        target=_run, args=whole, daemon=daemon
    )
    process.start()
    return process


def _run(
    environment: Mapping[str, str], target: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    # A fork server has the environment of when it was started.
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)
