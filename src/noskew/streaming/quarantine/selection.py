"""Selection: which of the quarantined rows are meant."""

from __future__ import annotations

from dataclasses import dataclass

from noskew.clock import to_micros
from noskew.streaming.quarantine.table import QuarantinedRow


@dataclass(frozen=True)
class Bound:
    """An offset, or a time (µs) at which the log took a message."""

    value: int
    is_offset: bool

    @classmethod
    def of(cls, text: str) -> Bound:
        """Digits are an offset, all else a time. Raises InputError for text that is neither."""
        if text.isdecimal():
            return cls(int(text), is_offset=True)
        return cls(to_micros(text), is_offset=False)

    def beside(self, row: QuarantinedRow) -> int:
        """What of a row is compared with it."""
        return row.place.offset if self.is_offset else row.known_time


@dataclass(frozen=True)
class QuarantineSelection:
    """Quarantined rows with a reason that has ``reason`` in it, in any case, within two bounds.

    Both bounds are closed; None: any.
    """

    reason: str | None = None
    since: Bound | None = None
    until: Bound | None = None

    def __contains__(self, row: QuarantinedRow) -> bool:
        return (
            (self.reason is None or self.reason.casefold() in row.reason.casefold())
            and (self.since is None or self.since.value <= self.since.beside(row))
            and (self.until is None or self.until.beside(row) <= self.until.value)
        )
