"""Certificates: what was run, on what, and every difference that was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PathDifference:
    """Values that differ between two paths.

    ``column``: of the transform's output, or the feature; empty where rows are kept on one path
    and left out on the other. ``example``: the row, and what it gives on either path, as text.
    """

    path: str
    column: str
    rows: int
    example: Mapping[str, str]


@dataclass(frozen=True)
class PathReport:
    """One path: how many rows took it, and how many differ; ``skipped``: why it was not taken."""

    name: str
    rows: int = 0
    different: int = 0
    skipped: str = ""


@dataclass(frozen=True)
class Certificate:
    """What certification found out about one definition.

    Attributes
    ----------
    kind, name, definition_hash
        What was certified; a certificate holds for the hash, whatever the name.
    made_at, seconds
        When (µs), and how long it took.
    sample_rows, made_up_rows
        Rows of the source's data, and rows made up to be difficult.
    no_sample
        Why there are no rows of the source's data.
    paths
        Every path and what came of it.
    differences
        Where paths differ; none: the definition is certified.
    cause
        The likely cause of the differences.
    failing_rows, failure
        Rows that the transform fails on, on every path alike, and what it says of one. An
        ingest stops at such a row, and a stream quarantines it.
    libraries
        The versions that it was made with.
    is_thorough
        False for the short form that ``apply`` makes: fewer rows, no other process, no table.
    """

    kind: str
    name: str
    definition_hash: str
    made_at: int
    seconds: float = 0.0
    sample_rows: int = 0
    made_up_rows: int = 0
    no_sample: str = ""
    paths: tuple[PathReport, ...] = ()
    differences: tuple[PathDifference, ...] = ()
    cause: str = ""
    failing_rows: int = 0
    failure: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    is_thorough: bool = True

    @property
    def is_equal(self) -> bool:
        """Whether every path gave the same values, bit for bit."""
        return not self.differences

    def __repr__(self) -> str:
        state = "equal" if self.is_equal else f"{len(self.differences)} differences"
        rows = self.sample_rows + self.made_up_rows
        return f"<Certificate of {self.name}: {state} on {len(self.paths)} paths, {rows} rows>"
