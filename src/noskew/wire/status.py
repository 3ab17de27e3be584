"""What a served value is: SPEC §7."""

from __future__ import annotations

PRESENT, NULL, MISSING, EXPIRED, STALE, MASKED = range(6)
#: Names by code.
NAMES = ("PRESENT", "NULL", "MISSING", "EXPIRED", "STALE", "MASKED")
