"""Which column of the rows to be completed says at what time each is asked for."""

from __future__ import annotations

#: The column, unless another is named.
DEFAULT_EVENT_TIME = "event_timestamp"
