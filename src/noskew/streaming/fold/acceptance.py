"""Acceptance: which of a batch's events count, once it is known which were accepted before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.definitions.view import FeatureView
from noskew.kernel.events import EVENT_ID, Events
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.screening import Quarantined, Screened


@dataclass(frozen=True)
class Accepted:
    """The events of a batch that count, by entity, and everything else that becomes of it.

    Attributes
    ----------
    events
        The events that count.
    table, late
        The events that count, and those that were kept out for being late, in log order.
    seen
        Identities of events that are new, with the known time they were accepted at.
    quarantined
        Rows that are no events.
    progress
        How far the view is when this batch is folded.
    """

    events: Events
    table: pa.Table
    late: pa.Table
    seen: dict[bytes, int]
    quarantined: list[Quarantined]
    progress: PartitionProgress


class Acceptance:
    """Decides on the screened events of one view. Safe to share by threads."""

    def __init__(self, view: FeatureView) -> None:
        self._keys = list(view.entity.keys)
        self._keeps_late_out = view.late != "fold"
        self._horizon = view.source.event_id_horizon

    def __call__(self, screened: Screened, seen: Mapping[bytes, int]) -> Accepted:
        """Which events count. ``seen``: when identities of the batch were accepted before."""
        table = screened.events
        barred = screened.is_late if self._keeps_late_out else np.zeros(len(table), bool)
        duplicate, new = self._duplicates(screened, seen, barred)
        kept_out = barred & ~duplicate
        counts = ~duplicate & ~kept_out
        chosen = table if counts.all() else table.filter(pa.array(counts))
        known = chosen.drop_columns([EVENT_ID]) if EVENT_ID in chosen.column_names else chosen
        return Accepted(
            Events.from_table(known, self._keys),
            chosen,
            table.filter(pa.array(kept_out)),
            new,
            screened.quarantined,
            _counted(screened, duplicate, kept_out),
        )

    def _duplicates(
        self, screened: Screened, seen: Mapping[bytes, int], barred: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], dict[bytes, int]]:
        """Which events repeat one that counts, and the identities of those that now do.

        ``barred``: events that do not count in any case, so that no later one repeats them.
        """
        duplicate = np.zeros(len(screened.offset), bool)
        new: dict[bytes, int] = {}
        if screened.identity is None:
            return duplicate, new
        known = screened.known.tolist()
        for i, identity in enumerate(screened.identity):
            if identity is None:
                continue
            before = new.get(identity, seen.get(identity))
            if before is not None and known[i] - before <= self._horizon:
                duplicate[i] = True
            elif not barred[i]:
                new[identity] = known[i]
        return duplicate, new


def _counted(
    screened: Screened, duplicate: NDArray[np.bool_], kept_out: NDArray[np.bool_]
) -> PartitionProgress:
    """The progress with every row of the batch under what became of it."""
    progress, late = screened.progress, screened.is_late & ~duplicate
    left_out = int(kept_out.sum()) + int(duplicate.sum())
    return msgspec.structs.replace(
        progress,
        late=progress.late + int(kept_out.sum()),
        duplicate=progress.duplicate + int(duplicate.sum()),
        late_folded=progress.late_folded + int((late & ~kept_out).sum()),
        folded=progress.consumed
        - progress.quarantined
        - progress.late
        - progress.duplicate
        - left_out,
    )
