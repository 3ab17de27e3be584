"""What the processes of a stream agree on in the registry."""

from __future__ import annotations

import msgspec

from noskew.errors import CorruptDataError


class StreamGeneration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the view is the fold of some facts of its table and of the events of its log.

    Attributes
    ----------
    number
        How often the rows were made anew; of two rows known at the same time the one of the
        later generation counts.
    log
        The identity of the log.
    history
        Facts that are not of this log (ingested, or of an earlier log) count if their sequence
        in the table is not greater; −1: none do.
    log_since
        The first generation of this log. Rows of earlier ones may be of events that were never
        archived and are gone with their log.
    """

    number: int = msgspec.field(name="generation")
    log: str
    history: int
    log_since: int = 0

    def to_bytes(self) -> bytes:
        """As a state keeps it."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> StreamGeneration:
        """The inverse of :meth:`to_bytes`. Raises CorruptDataError for other bytes."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise CorruptDataError(f"the generation of a stream cannot be read: {error}") from error


class Assignments(msgspec.Struct, frozen=True):
    """What workers agree on: how often each was heard, and the owner of each partition."""

    workers: dict[str, int] = {}
    owners: dict[int, str] = {}

    def of(self, worker: str) -> frozenset[int]:
        """The partitions of a worker."""
        return frozenset(n for n, owner in self.owners.items() if owner == worker)
