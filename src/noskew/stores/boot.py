"""Which boot of the machine this is: what was written in an earlier one may not be whole."""

from __future__ import annotations

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Identifies this boot of the machine; the same text for ever where the system has none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "unknown"
