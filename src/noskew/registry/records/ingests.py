"""What is recorded of ingests, for people: what each run added, knew already and took back."""

from __future__ import annotations

import msgspec


class ViewIngest(msgspec.Struct, frozen=True):
    """What a run did for one view; numbers as :class:`noskew.training.ingest.IngestReport` has."""

    rows: int = 0
    known: int = 0
    known_by_id: int = 0
    retracted: int = 0
    parts: int = 0
    repeated: int = 0
    refused: dict[str, int] = {}
    behind: int = 0


class IngestRun(msgspec.Struct, frozen=True):
    """A run of ``ingest``.

    Attributes
    ----------
    started, ended
        When (µs). A run that has not ended is under way, or was killed: what it had committed by
        then is there.
    source
        The source that was asked for; None: all that have batch data.
    total
        What was done for all views together.
    views
        By view, those for which nothing was done left out; empty if they are more than a hundred.
    undone
        When it was undone (µs).
    """

    started: int
    source: str | None = None
    ended: int | None = None
    total: ViewIngest = ViewIngest()
    views: dict[str, ViewIngest] = {}
    undone: int | None = None
