"""The world of one run: a log, machines with their files, the stores that they share, a clock."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from noskew.addresses import origin_of
from noskew.clock import FixedClock
from noskew.definitions.view import FeatureView
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import STREAM
from noskew.registry.records.record import AnyKind, AnyRecord
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.state.lmdb import StateStore
from noskew.streaming.fold.progress import PartitionProgress
from noskew.testing.reference import Fact
from tests.simulation.calls import Undisturbed
from tests.simulation.log import LogServer, SimulatedLog
from tests.simulation.offline import OfflineServer
from tests.simulation.online import OnlineServer
from tests.simulation.oracle import Folded, Message, Told
from tests.simulation.project import (
    SETTINGS,
    TABLES,
    TENANT,
    USERS,
    Event,
    S,
    Setting,
    aside_name,
    partition_of,
)
from tests.simulation.state import MAP_SIZE

START = 1_700_000_000 * S
_UNDISTURBED = Undisturbed()


class Machine:
    """A machine's files. They are kept open between processes, which costs less time."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self._directory = name, directory
        self.state, self.archive = directory / "state", directory / "archive"
        self._open()

    def lose(self) -> None:
        """Another machine takes its place, with nothing on it."""
        self.close()
        shutil.rmtree(self._directory)
        self._open()

    def close(self) -> None:
        """Close the files."""
        for store in self.kept:
            store.close()

    def _open(self) -> None:
        self.kept = [StateStore(p, map_size=MAP_SIZE) for p in (self.state, self.archive)]

    @property
    def rows(self) -> StateStore:
        """What its files hold, past everything that goes wrong."""
        return self.kept[0]


@dataclass
class Era:
    """One log, from its first message to the day on which it is gone."""

    number: int
    identity: str
    told: dict[str, Told]
    messages: list[list[Message]]
    #: What was archived of the logs before, by log hash.
    history: dict[str, list[Folded]]
    #: How far each table of events, and of rows that are none, was when the log went.
    archived: dict[str, dict[int, int]] = field(default_factory=dict)
    quarantined: dict[str, dict[int, int]] = field(default_factory=dict)

    def facts(self, log_hash: str, user: int, before: int) -> list[Fact]:
        """What a user's row stands on: history, and the messages of the log before an offset."""
        past = [f.fact for f in self.history[log_hash] if f.event.user == user]
        return past + self.told[log_hash].facts(user, before)

    def users(self, log_hash: str, before: Mapping[int, int]) -> set[int]:
        """The users that have a row, by how far partitions are read."""
        past = {f.fact.key[0] for f in self.history[log_hash]}
        return past | self.told[log_hash].users(before)


class Registry:
    """The calls by which processes agree on something."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], AnyRecord] = {}
        self.past: list[AnyRecord] = []

    def record(self, project: str, kind: AnyKind, key: str) -> AnyRecord | None:
        del project
        return self._records.get((kind.name, key))

    def records(self, project: str, kind: AnyKind) -> list[AnyRecord]:
        del project
        return [record for (of, _), record in self._records.items() if of == kind.name]

    def swap_record(self, project: str, record: AnyRecord, *, expected: Any | None) -> bool:
        present = self.record(project, record.kind, record.key)
        if (None if present is None else present.value) != expected:
            return False
        self._records[record.kind.name, record.key] = record
        self.past.append(record)
        return True


@dataclass(frozen=True)
class Shape:
    """What a world has. An embedded online store is on one machine."""

    setting: Setting
    views: tuple[str, ...] = ("sums",)
    partitions: int = 1
    is_embedded: bool = False
    machines: int = 1
    shards: int = 1

    @classmethod
    def drawn(cls, random: Random) -> Shape:
        """Any."""
        is_embedded = random.random() < 0.25
        return cls(
            random.choice(SETTINGS),
            random.choice([("sums",), ("newest",), ("exact",), ("sums", "newest")]),
            random.choice([1, 2, 2, 3]),
            is_embedded,
            1 if is_embedded else random.choice([1, 1, 2]),
            random.randint(1, 3),
        )


class World:
    """Everything that outlives a process. It is a function of ``random`` and of what is done."""

    def __init__(self, shape: Shape, random: Random, directory: Path) -> None:
        self.random, self.setting, self.is_embedded = random, shape.setting, shape.is_embedded
        self.clock = FixedClock(START)
        self.views: list[FeatureView] = [self.setting.views[name] for name in shape.views]
        self.partitions = shape.partitions
        self.machines = [Machine(f"m{i}", directory / f"m{i}") for i in range(shape.machines)]
        self.online = OnlineServer(shape.shards)
        self.offline = OfflineServer(self.clock)
        self.registry = Registry()
        self._eras: list[Era] = []
        self.log = self._new_log()

    def described(self) -> str:
        """In a line."""
        kind = "embedded" if self.is_embedded else f"{self.online.shards} shards"
        ids = "ids" if self.setting.has_ids else "no ids"
        views = ", ".join(v.name for v in self.views)
        return (
            f"{views}; {ids}, {self.partitions} partitions, {len(self.machines)} machines, {kind}"
        )

    @property
    def era(self) -> Era:
        """That of the log that is there now."""
        return self._eras[-1]

    @property
    def eras(self) -> list[Era]:
        """Those of all logs, the first one first."""
        return self._eras

    def era_of(self, identity: str) -> Era:
        """That of a log."""
        return next(e for e in self._eras if e.identity == identity)

    def seconds(self) -> float:
        """A watch that only goes forward."""
        return (self.clock.now() - START) / S

    def append(self, partition: int, rows: list[list[Event] | None]) -> None:
        """Append messages to the log; None stands for one that nobody can read."""
        payloads = [b"{" if r is None else self.setting.encode(r) for r in rows]
        SimulatedLog(self.log, self.random, _UNDISTURBED, "a producer").append(partition, payloads)
        shelf = self.log.shelves[partition]
        for at, (events, payload) in enumerate(zip(rows, payloads, strict=True), -len(rows)):
            message = Message(shelf.offsets[at], shelf.times[at], payload, events)
            self.era.messages[partition].append(message)
            for told in self.era.told.values():
                told.take(partition, message)

    def replace_log(self) -> None:
        """The log is gone, with what was not archived of it. Another one takes its place."""
        for log_hash in self.era.told:
            self.era.archived[log_hash] = {
                n: progress.next_offset for n, progress in enumerate(self.archived(log_hash))
            }
            self.era.quarantined[log_hash] = self.quarantined(log_hash)
        self.log = self._new_log()

    def archived(self, log_hash: str) -> list[PartitionProgress]:
        """How far the table of a kind of view is in each partition of the log."""
        found = self._notes(TABLES[log_hash].name)
        return [
            PartitionProgress.from_bytes(note.encode()) if note else PartitionProgress()
            for note in found
        ]

    def quarantined(self, log_hash: str) -> dict[int, int]:
        """As :meth:`archived`, of the rows that are no events: they come first."""
        found = self._notes(aside_name(log_hash))
        both = zip(found, self.archived(log_hash), strict=True)
        return {
            n: max(int(note or 0), progress.next_offset) for n, (note, progress) in enumerate(both)
        }

    def stream_generation(self, view: FeatureView, generation: int) -> StreamGeneration:
        """The generation of a number of a view's rows."""
        name = DefinitionKey.of(view)
        agreed: list[StreamGeneration] = [r.value for r in self.registry.past if r.key == name]
        return next(g for g in agreed if g.number == generation)

    def generation(self, view: FeatureView) -> int:
        """How often a view's rows were made anew; −1 before it was first streamed."""
        record = self.registry.record(TENANT.name, STREAM, DefinitionKey.of(view))
        return -1 if record is None else int(record.value.number)

    def close(self) -> None:
        """Close the files."""
        for machine in self.machines:
            machine.close()

    def _notes(self, name: str) -> list[str | None]:
        table = self.offline.tables.get(name)
        notes: Mapping[str, str] = table.notes if table else {}
        return [notes.get(origin_of(self.log.identity, n)) for n in range(self.partitions)]

    def _new_log(self) -> LogServer:
        number = len(self._eras)
        identity = f"log-{self.random.getrandbits(64):016x}"
        views = {v.log_hash: v for v in self.setting.views.values()}
        history = {log_hash: self._history(log_hash) for log_hash in views}
        told = {h: Told(view, number, _accepted(history[h])) for h, view in views.items()}
        messages: list[list[Message]] = [[] for _ in range(self.partitions)]
        self._eras.append(Era(number, identity, told, messages, history))
        return LogServer(identity, self.partitions, self.clock)

    def _history(self, log_hash: str) -> list[Folded]:
        """What is archived of the logs so far."""
        return [
            folded
            for before in self._eras
            for folded in before.told[log_hash].archived(before.archived[log_hash])
        ]

    def events(self, count: int, partition: int) -> list[Event]:
        """Events as they come: mostly of now, many at once, some late, some in the future."""
        return [self._event(partition) for _ in range(count)]

    def _event(self, partition: int) -> Event:
        random, now = self.random, self.clock.now()
        users = [u for u in range(USERS) if partition_of(u, self.partitions) == partition]
        user = users[int(len(users) * random.random() ** 3)]  # some often, and some hardly ever
        past = random.choice(_PAST)
        at = (now - past) // (S // 2) * (S // 2)
        return Event(
            user=None if random.random() < 0.03 else user,
            at=None if random.random() < 0.03 else at,
            x=random.choice(_VALUES),
            id=random.choice(_IDS),
        )


def _accepted(history: list[Folded]) -> dict[tuple[int, str], int]:
    """When ids were accepted last."""
    found: dict[tuple[int, str], int] = {}
    for folded in history:
        name, known = folded.event.id, folded.fact.known_time
        if name is not None:
            user = folded.fact.key[0]
            found[user, name] = max(known, found.get((user, name), known))
    return found


#: How long ago an event happened that comes now, µs.
_PAST = [0, 0, 0, S, S, 5 * S, 15 * S, 20 * S, 21 * S, 45 * S, 3_600 * S, -10 * S, -30 * S, -31 * S]
_VALUES = [None, 0.1, 0.2, 0.3, 1.5, -7.25, 1e300, -1e300]
_IDS = [None, *(f"id{i}" for i in range(4))]
