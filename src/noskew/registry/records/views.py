"""What is recorded of a view, or of another definition, by its key."""

from __future__ import annotations

import msgspec


class MaterializedUntil(msgspec.Struct, frozen=True):
    """How far a view was brought online by its last run.

    Attributes
    ----------
    until
        The known time (µs) up to which facts were moved, closed.
    sequence
        The greatest sequence in the offline table that was moved; −1: none.
    number
        The number of the offline table's snapshot that was read.
    """

    until: int
    sequence: int
    number: int


class Exemption(msgspec.Struct, frozen=True):
    """A definition that somebody applied without a good certificate."""

    name: str
    by: str
