"""Generations: which facts the rows of streamed views are folded from, on every machine."""

from __future__ import annotations

from dataclasses import dataclass

from noskew.clock import Clock
from noskew.definitions.view import FeatureView
from noskew.errors import ConflictError
from noskew.registry.base import Registry
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import STREAM
from noskew.registry.records.record import Record
from noskew.registry.records.streaming import StreamGeneration


@dataclass(frozen=True)
class StreamGenerations:
    """The generations of a project's streamed views, in its registry."""

    project: str
    registry: Registry
    clock: Clock

    def of(self, view: FeatureView) -> StreamGeneration | None:
        """That of a view; None before it was first streamed."""
        record = self.registry.record(self.project, STREAM, DefinitionKey.of(view))
        return None if record is None else record.value

    def all(self) -> dict[DefinitionKey, StreamGeneration]:
        """Those of every view that is streamed; one query."""
        return {r.key: r.value for r in self.registry.records(self.project, STREAM)}

    def put(
        self, view: FeatureView, new: StreamGeneration, *, before: StreamGeneration | None
    ) -> StreamGeneration:
        """Put ``new`` in the place of ``before``, or find what another process put there.

        Raises ConflictError if that is of another log.
        """
        record = Record(STREAM, DefinitionKey.of(view), new, self.clock.now())
        if self.registry.swap_record(self.project, record, expected=before):
            return new
        agreed = self.of(view)
        if agreed is None or agreed.log != new.log:
            raise ConflictError(
                f"feature view {view.name!r}: another process started its stream from another log; "
                f"look at 'noskew stream status' and start again"
            )
        return agreed
