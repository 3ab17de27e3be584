"""The log in a directory, as a stream's declaration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noskew.clock import Clock
from noskew.stores.log.local.log import LocalLog


def open_log(options: Mapping[str, Any], *, directory: Path, clock: Clock) -> LocalLog:
    """The log of so many ``partitions``; see :func:`noskew.stores.log.open_log`."""
    return LocalLog(directory, partitions=options["partitions"], clock=clock)
