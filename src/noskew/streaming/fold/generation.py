"""Footing: what the rows of a streamed view stand on, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from noskew.clock import Clock
from noskew.definitions.view import FeatureView
from noskew.errors import ConflictError, CorruptDataError
from noskew.registry.state import Record
from noskew.registry.store import SqlRegistry
from noskew.registry.view_records import STREAMED, record_key


class StreamGeneration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the view is the fold of some facts of its table and of the events of its log.

    Attributes
    ----------
    generation
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

    generation: int
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
            raise CorruptDataError(f"the footing of a stream cannot be read: {error}") from error


@dataclass(frozen=True)
class StreamGenerations:
    """The footings of a project, in its registry."""

    project: str
    registry: SqlRegistry
    clock: Clock

    def of(self, view: FeatureView) -> StreamGeneration | None:
        """That of a view; None before it was first streamed."""
        held = self.registry.record(self.project, STREAMED, record_key(view))
        return None if held is None else msgspec.convert(held.data, StreamGeneration)

    def all(self) -> dict[str, StreamGeneration]:
        """Those of every view that is streamed, by :func:`.record_key`; one query."""
        held = self.registry.records(self.project, STREAMED)
        return {record.key: msgspec.convert(record.data, StreamGeneration) for record in held}

    def put(
        self, view: FeatureView, made: StreamGeneration, *, before: StreamGeneration | None
    ) -> StreamGeneration:
        """Put ``made`` in the place of ``before``, or find what another process put there.

        Raises ConflictError if that is of another log.
        """
        record = Record(STREAMED, record_key(view), msgspec.to_builtins(made), self.clock.now())
        expected = None if before is None else msgspec.to_builtins(before)
        if self.registry.swap_record(self.project, record, expected=expected):
            return made
        held = self.of(view)
        if held is None or held.log != made.log:
            raise ConflictError(
                f"feature view {view.name!r}: another process started its stream from another log; "
                f"look at 'noskew stream status' and start again"
            )
        return held
