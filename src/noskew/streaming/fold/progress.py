"""Progress: how far a view has read one partition of a log, and what became of what it read."""

from __future__ import annotations

import msgspec

from noskew.clock import MIN_TIME
from noskew.errors import CorruptDataError
from noskew.kernel.rows.codec import FORMAT, VERSION_BYTES


class PartitionProgress(msgspec.Struct, frozen=True, array_like=True):
    """A function of the messages before ``next_offset`` and of nothing else.

    Attributes
    ----------
    next_offset
        The first message that was not read yet.
    known
        The greatest append time so far, µs: append times may step back, known times do not.
    newest
        The greatest event time so far, µs; what is late is judged by it.
    consumed, folded, late, duplicate, quarantined
        Rows of the source (a message that cannot be read counts as one row). Always
        ``consumed = folded + late + duplicate + quarantined``: folded are the rows that were
        taken in, a filter that leaves them without effect included; late are those that a
        policy kept out.
    late_folded
        Those of ``folded`` that came late and were taken in all the same.
    """

    next_offset: int = 0
    known: int = MIN_TIME
    newest: int = MIN_TIME
    consumed: int = 0
    folded: int = 0
    late: int = 0
    duplicate: int = 0
    quarantined: int = 0
    late_folded: int = 0

    def to_bytes(self) -> bytes:
        """As a store keeps it."""
        return msgspec.json.encode(self)

    def to_row(self, version: bytes) -> bytes:
        """As the online store keeps it, for whoever asks how far the stream is."""
        return version + bytes([FORMAT, 0]) + self.to_bytes()

    @classmethod
    def from_row(cls, row: bytes) -> PartitionProgress:
        """The inverse of :meth:`to_row`."""
        return cls.from_bytes(row[VERSION_BYTES + 2 :])

    @classmethod
    def from_bytes(cls, data: bytes) -> PartitionProgress:
        """The inverse of :meth:`to_bytes`. Raises CorruptDataError for other bytes."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise CorruptDataError(
                f"the progress of a stream's partition cannot be read: {error}"
            ) from error
