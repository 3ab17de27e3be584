"""What faults were made and what was compared after them, for the report of ``make chaos``."""

from __future__ import annotations

import json
import os
from pathlib import Path

_FILE = os.environ.get("CHAOS_REPORT")


def times(short: int, full: int) -> int:
    """How often to strike: ``full`` in ``make chaos``, else ``short``."""
    return short if _FILE is None else full


def note(what: str, *, faults: int, traces: int, compared: int) -> None:
    """Add to the report.

    ``faults``: how often the nemesis struck; ``traces``: how often that showed (a process that
    died of the signal, a write that was refused, rows that were gone); ``compared``: rows and
    events that were compared with an independent recomputation afterwards.
    """
    if _FILE is not None:
        line = {"what": what, "faults": faults, "traces": traces, "compared": compared}
        with Path(_FILE).open("a") as file:  # one write: several processes append
            file.write(json.dumps(line) + "\n")
