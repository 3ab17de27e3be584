"""How CSV files are written, as far as a user says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from noskew.time_format import TimeFormat


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """What of a CSV file's form is said; None is found from the beginning of each file."""

    delimiter: str | None = None
    timezone: str | None = None
    timestamp_format: str | None = None
    null_values: Sequence[str] | None = None
    encoding: str | None = None
    header: bool = True
    decimal: str = "."

    def said(self) -> list[tuple[str, object]]:
        """The options that are not left at their defaults, in one order."""
        values = [(f.name, getattr(self, f.name), f.default) for f in fields(self)]
        return [
            (name, list(value) if name == "null_values" else value)
            for name, value, default in values
            if value != default
        ]

    @property
    def time_format(self) -> TimeFormat | None:
        """``timestamp_format``, read."""
        return TimeFormat.of(self.timestamp_format) if self.timestamp_format else None
