"""The application of one worker process, built from a project's directory."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from noskew import config as configuration
from noskew.clock import Clock, FixedClock, SystemClock
from noskew.serving.http.app import App
from noskew.serving.http.backend import Backend

#: How long a thread that works beside the event loop keeps a request waiting for the interpreter;
#: by default it is ten times as long, which is longer than most requests take.
_SWITCH_S = 0.0005


def build(root: str, at: int | None) -> App:
    """The application for the project in ``root``; as of the time ``at`` (µs), if given.

    Called in the worker: nothing that is open crosses from the process that starts it.
    """
    sys.setswitchinterval(_SWITCH_S)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)  # it tells of every file
    if root not in sys.path:
        sys.path.insert(0, root)  # on-demand functions are imported from the project
    config = configuration.load(Path(root))
    clock: Clock = SystemClock() if at is None else FixedClock(at)
    return App(Backend(Path(root), config, clock), config.serve)
