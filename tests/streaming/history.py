"""What a reader of one partition has read so far, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from noskew.streaming.fold.acceptance import Accepted
from noskew.streaming.fold.progress import PartitionProgress


@dataclass
class History:
    """How far a view is, and when identities were accepted last; see ``EventHistory``."""

    progress: PartitionProgress = field(default_factory=PartitionProgress)
    accepted: dict[bytes, int] = field(default_factory=dict)

    def seen(self, identities: Sequence[bytes | None]) -> Mapping[bytes, int]:
        return {i: self.accepted[i] for i in identities if i is not None and i in self.accepted}

    def add(self, accepted: Accepted) -> None:
        """Go on from what became of a batch."""
        self.progress = accepted.progress
        self.accepted |= accepted.seen
