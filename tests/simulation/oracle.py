"""What a stream must come to: the rules of SPEC §6 in plain Python, message by message.

No code is shared with what it judges. It is told of the events themselves, not of the bytes that
stand for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from noskew.definitions.view import FeatureView
from noskew.streaming.fold.progress import PartitionProgress
from noskew.testing.reference import Fact
from tests.simulation.project import Event

UNREADABLE = "unreadable"
_PLACE_BITS, _ERA_BITS = 20, 80


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the log: its rows, None if nobody can read it."""

    offset: int
    append_time: int
    payload: bytes
    events: Sequence[Event] | None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that does not count and is kept. ``payload``: None if it is a part of a message."""

    partition: int
    offset: int
    place: int
    reason: str
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class Folded:
    """A row that counts, and where it came from."""

    partition: int
    offset: int
    place: int
    event: Event
    fact: Fact


@dataclass
class _Partition:
    """How far one partition is."""

    progress: PartitionProgress = field(default_factory=PartitionProgress)
    offsets: list[int] = field(default_factory=list)
    history: list[PartitionProgress] = field(default_factory=list)


class Told:
    """What one kind of view makes of one log. Views of the same log hash are of one kind.

    ``seen``: when ids of earlier logs were accepted, by user and id. ``era``: the number of the
    log among those that followed each other.
    """

    def __init__(self, view: FeatureView, era: int, seen: Mapping[tuple[int, str], int]) -> None:
        self._view, self._era = view, era
        self._seen = dict(seen)
        self._at: dict[int, _Partition] = defaultdict(_Partition)
        self.folded: list[Folded] = []
        self.quarantined: list[Quarantined] = []
        self._of_user: dict[int, list[Folded]] = defaultdict(list)

    def take(self, partition: int, message: Message) -> None:
        """The next message of a partition."""
        at = self._at[partition]
        known = max(at.progress.known, message.append_time)
        at.progress = replace(at.progress, next_offset=message.offset + 1, known=known)
        if message.events is None:
            self._count(at, consumed=1, quarantined=1)
            self.quarantined.append(
                Quarantined(partition, message.offset, 0, UNREADABLE, message.payload)
            )
        for place, event in enumerate(message.events or ()):
            self._row(partition, message, place, event)
        at.offsets.append(message.offset)
        at.history.append(at.progress)

    def progress(self, partition: int, next_offset: int) -> PartitionProgress:
        """What the progress must be when all messages before an offset, and no others, are read."""
        at = self._at[partition]
        count = bisect_left(at.offsets, next_offset)
        made = at.history[count - 1] if count else PartitionProgress()
        return replace(made, next_offset=next_offset)

    def facts(self, user: int, before: int) -> list[Fact]:
        """A user's facts of messages before an offset."""
        return [f.fact for f in self._of_user[user] if f.offset < before]

    def users(self, before: Mapping[int, int]) -> set[int]:
        """Users with a fact, by the offsets up to which partitions are read."""
        return {u for u, f in self._of_user.items() if f and f[0].offset < before[f[0].partition]}

    def archived(self, until: Mapping[int, int]) -> Iterator[Folded]:
        """What counts of the messages before the offsets."""
        return (f for f in self.folded if f.offset < until[f.partition])

    def _row(self, partition: int, message: Message, place: int, event: Event) -> None:
        at, view = self._at[partition], self._view
        known = at.progress.known
        why = self._fault(event, known)
        alone = len(message.events or ()) == 1
        if why:
            self._count(at, consumed=1, quarantined=1)
            payload = message.payload if alone else None
            self.quarantined.append(Quarantined(partition, message.offset, place, why, payload))
            return
        assert event.at is not None and event.user is not None  # noqa: PT018
        newest = max(at.progress.newest, event.at)
        at.progress = replace(at.progress, newest=newest)
        is_late = event.at < newest - view.lateness
        barred = is_late and view.late != "fold"
        if self._is_duplicate(event, known, barred):
            self._count(at, consumed=1, duplicate=1)
        elif barred:
            self._count(at, consumed=1, late=1)
            if view.late == "table":
                self.quarantined.append(Quarantined(partition, message.offset, place, "late", None))
        else:
            self._count(at, consumed=1, folded=1, late_folded=int(is_late))
            self._fold(partition, message.offset, place, event, known)

    def _fault(self, event: Event, known: int) -> str | None:
        if event.user is None:
            return "null key"
        if event.at is None:
            return "no event time"
        return "future event time" if event.at > known + self._view.source.max_future else None

    def _is_duplicate(self, event: Event, known: int, barred: bool) -> bool:
        """Whether it repeats an event that counts. If it counts itself, it is remembered."""
        if self._view.source.event_id is None or event.id is None:
            return False
        assert event.user is not None
        name = (event.user, event.id)
        before = self._seen.get(name)
        if before is not None and known - before <= self._view.source.event_id_horizon:
            return True
        if not barred:
            self._seen[name] = known
        return False

    def _fold(self, partition: int, offset: int, place: int, event: Event, known: int) -> None:
        assert event.at is not None and event.user is not None  # noqa: PT018
        sequence = self._era << _ERA_BITS | offset << _PLACE_BITS | place
        cells = {"x": event.x, "id": event.id}
        fact = Fact((event.user,), event.at, known, sequence, cells)
        made = Folded(partition, offset, place, event, fact)
        self.folded.append(made)
        self._of_user[event.user].append(made)

    def _count(self, at: _Partition, **by: int) -> None:
        at.progress = replace(
            at.progress, **{name: getattr(at.progress, name) + n for name, n in by.items()}
        )
