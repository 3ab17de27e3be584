"""What must hold of a stream: some of it always, and everything once it is quiet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from noskew.addresses import PREFIX_BYTES, OnlineRows, StateKeys, is_entity_key, origin_of
from noskew.definitions.view import FeatureView
from noskew.kernel.plan import ViewPlan, compile_view
from noskew.kernel.rows.codec import OFFSET_BITS, RowLayout, unpack_rows, version_of
from noskew.kernel.state import finalise
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.log.base import Messages
from noskew.stores.online.base import VERSION_BYTES
from noskew.streaming.fold.event_pipeline import EventPipeline
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.view_fold import ViewFold
from noskew.testing import reference
from tests.simulation.oracle import UNREADABLE, Quarantined
from tests.simulation.project import (
    TABLES,
    TENANT,
    USER_OF,
    S,
    aside_name,
    partition_of,
)
from tests.simulation.world import Era, Machine, World
from tests.streaming.history import History

Rows = Mapping[bytes, bytes]
_OFFSET = (1 << OFFSET_BITS) - 1
#: How long after its last fact a row is asked for its values, µs.
_WAITS = [0, S, 30 * S, 70 * S, 7_200 * S]
_REASONS = {"null key", "no event time", "future event time", "late"}


class Checks:
    """Looks at a world past everything that goes wrong in it."""

    def __init__(self, world: World) -> None:
        self._world = world
        #: The versions of the rows that were online the last time, if none was lost since.
        self._seen: dict[bytes, bytes] = {}
        self._losses = 0

    def always(self) -> None:
        """What must hold between any two steps, whatever went wrong before."""
        world = self._world
        for machine in world.machines:
            self._state_counts(machine)
        for machine in world.machines[:1] if world.is_embedded else [None, *world.machines]:
            view = world.random.choice(world.views)
            self.values(view, self._rows(view, machine))
            self._progress(view, machine)
        for log_hash in {v.log_hash: v for v in world.views}:
            self._counts(log_hash)
        self._forward()

    def settled(self, machines: Mapping[str, Machine]) -> None:
        """What must hold when everything is folded, published and archived.

        ``machines``: those on which a process works.
        """
        every_message = self._messages()
        for view in self._world.views:
            expected = self._expected(view, every_message)
            held = {}
            for machine in machines.values():
                self._state_counts(machine)
                held |= self._state(view, machine, expected)
            users = self._era(view).users(view.log_hash, self._ends())
            assert sorted(held) == sorted(users), f"{view.name}: rows of users {sorted(held)}"
            online = {_user(k): row for k, row in self._rows(view, None).items()}
            assert online == held, f"{view.name}: online are {_named(online)}, and {_named(held)}"
            self._ended(view)
        for log_hash in {v.log_hash: v for v in self._world.views}:
            self._counts(log_hash)
            self._archive(log_hash)
            self._quarantined(log_hash)

    def values(self, view: FeatureView, rows: Rows) -> None:
        """Each row says what the facts say that its version names."""
        if not rows:
            return
        plan, layout = _compiled(view)
        times, wanted = [], []
        for key, row in rows.items():
            known, number = version_of(row)
            era = self._era(view, number >> OFFSET_BITS)
            facts = era.facts(view.log_hash, _user(key), number & _OFFSET)
            assert facts, f"{view.name}: a row of user {_user(key)} that stands on nothing"
            assert known == max(f.known_time for f in facts), f"{view.name}: {_user(key)}, known"
            times.append(known + self._world.random.choice(_WAITS))
            wanted += reference.naive_historical(view, facts, [((_user(key),), times[-1])])
        found = finalise(plan, unpack_rows(layout, list(rows.values())), np.array(times, np.int64))
        table = pa.table(found).to_pylist()
        for key, time, ours, theirs in zip(rows, times, table, wanted, strict=True):
            assert _bits(ours) == _bits(theirs), (
                f"{view.name}, user {_user(key)}, version {version_of(rows[key])}, at {time}: "
                f"{ours}, and its facts say {theirs}"
            )

    def _era(self, view: FeatureView, generation: int | None = None) -> Era:
        """The log that rows of a generation, or of the last one, are of."""
        world = self._world
        number = world.generation(view) if generation is None else generation
        return world.era_of(world.stream_generation(view, number).log)

    def _rows(self, view: FeatureView, machine: Machine | None) -> dict[bytes, bytes]:
        """Entities' rows of a view, on a machine or (None) online."""
        world = self._world
        where = (
            world.online.rows
            if machine is None and not world.is_embedded
            else (machine or world.machines[0]).rows
        )
        return {k: row for k, row in where.scan(_prefix(view)) if is_entity_key(k)}

    def _state_counts(self, machine: Machine) -> None:
        """Every progress of a state counts each row of its messages once, and as what it is."""
        world = self._world
        for view in world.views:
            generation = self._generation_of_state(view, machine)
            if generation is None:
                continue
            told = world.era_of(generation.log).told[view.log_hash]
            for number in range(world.partitions):
                name = TENANT.stream_space(world.setting.source.name, number)
                space = machine.rows.space(name)
                (held,) = space.read([StateKeys(_prefix(view)).progress])
                if held:
                    progress = PartitionProgress.from_bytes(held)
                    _same(
                        progress,
                        told.progress(number, progress.next_offset),
                        f"{view.name}, p{number}",
                    )

    def _generation_of_state(self, view: FeatureView, machine: Machine) -> StreamGeneration | None:
        """What the rows of a machine stand on; None while they are not whole."""
        space = TENANT.views_space(self._world.setting.source.name)
        (held,) = machine.rows.space(space).read([StateKeys(_prefix(view)).generation])
        return StreamGeneration.from_bytes(held) if held else None

    def _progress(self, view: FeatureView, machine: Machine | None) -> None:
        """As :meth:`_state_counts`, of what readers are told."""
        world = self._world
        for number in range(world.partitions):
            key = OnlineRows(_prefix(view)).progress(number)
            (row,) = world.online.rows.read([key]) if machine is None else machine.rows.rows([key])
            if row is not None:
                progress, version = PartitionProgress.from_row(row), version_of(row)
                told = self._era(view, version[1] >> OFFSET_BITS).told[view.log_hash]
                _same(
                    progress,
                    told.progress(number, progress.next_offset),
                    f"{view.name}, p{number}, online",
                )
                assert version == (progress.known, version[1] & ~_OFFSET | progress.next_offset)

    def _counts(self, log_hash: str) -> None:
        """The archive holds as many events as its notes say."""
        world = self._world
        table = world.offline.tables.get(TABLES[log_hash].name)
        if table is not None:
            archived = [
                (era, n, PartitionProgress.from_bytes(table.notes[name].encode()))
                for era in world.eras
                for n in range(world.partitions)
                if (name := origin_of(era.identity, n)) in table.notes
            ]
            for era, number, progress in archived:
                wanted = era.told[log_hash].progress(number, progress.next_offset)
                _same(progress, wanted, f"the archive, p{number}")
            rows = sum(len(run.facts) for run in table.at(None).runs)
            assert rows == sum(progress.folded for _, _, progress in archived), "events archived"

    def _forward(self) -> None:
        """The version of a row that is online never steps back, unless the store lost rows."""
        online = self._world.online
        held = {k: row[:VERSION_BYTES] for k, row in online.rows.scan() if is_entity_key(k)}
        if online.losses == self._losses:
            for key, version in self._seen.items():
                assert held.get(key, b"") >= version, f"a row of user {_user(key)} stepped back"
        self._seen, self._losses = held, online.losses

    def _ends(self) -> dict[int, int]:
        return {n: shelf.end for n, shelf in enumerate(self._world.log.shelves)}

    def _messages(self) -> list[Messages]:
        """All messages of each partition at once."""
        return [
            Messages(
                number,
                np.array([m.offset for m in messages], np.int64),
                np.array([m.append_time for m in messages], np.int64),
                pa.array([m.payload for m in messages], pa.large_binary()),
                self._ends()[number],
            )
            for number, messages in enumerate(self._world.era.messages)
        ]

    def _expected(
        self, view: FeatureView, every_message: list[Messages]
    ) -> dict[int, bytes] | None:
        """The rows of users as the log makes them in one go; None if history comes before it."""
        if self._world.era.number:
            return None
        fold = ViewFold(view, TENANT, self._world.generation(view))
        pipeline = EventPipeline([view], self._world.setting.decode)
        rows: dict[int, bytes] = {}
        for messages in every_message:
            (accepted,) = pipeline(messages, [History()])
            keys = fold.keys(accepted, messages.partition)
            rows |= zip(map(_user, keys), fold.rows(accepted, [None] * len(keys)), strict=True)
        return rows

    def _state(
        self, view: FeatureView, machine: Machine, expected: Mapping[int, bytes] | None
    ) -> dict[int, bytes]:
        """The rows of the partitions that a machine has read to the end; they are as expected."""
        world = self._world
        rows = self._rows(view, machine)
        self.values(view, rows)
        offsets = self._state_progress(view, machine)
        by_user = {_user(key): row for key, row in rows.items()}
        users = self._era(view).users(view.log_hash, offsets)
        assert sorted(by_user) == sorted(users), f"{view.name}: foreign or missing on a machine"
        ended = {n for n, end in self._ends().items() if offsets[n] == end}
        held = {u: row for u, row in by_user.items() if partition_of(u, world.partitions) in ended}
        if expected is not None:
            said = {u: expected[u] for u in held}
            assert held == said, f"{view.name}: {_named(held)}, and the log says {_named(said)}"
        return held

    def unfinished(self, machine: Machine) -> list[int]:
        """Partitions that somebody was bringing forward on a machine when he ended."""
        world = self._world
        wanted = [StateKeys(_prefix(view)).progress for view in world.views]
        source = world.setting.source.name
        return [
            number
            for number in range(world.partitions)
            if b"" in machine.rows.space(TENANT.stream_space(source, number)).read(wanted)
        ]

    def _state_progress(self, view: FeatureView, machine: Machine) -> dict[int, int]:
        world = self._world
        found = {}
        for number in range(world.partitions):
            name = TENANT.stream_space(world.setting.source.name, number)
            (held,) = machine.rows.space(name).read([StateKeys(_prefix(view)).progress])
            assert held, f"{view.name}: partition {number} was never begun"
            found[number] = PartitionProgress.from_bytes(held).next_offset
        return found

    def _ended(self, view: FeatureView) -> None:
        """Readers are told that everything was read."""
        world = self._world
        where = world.machines[0].rows.rows if world.is_embedded else world.online.rows.read
        ends = self._ends()
        for number, row in enumerate(
            where([OnlineRows(_prefix(view)).progress(n) for n in range(world.partitions)])
        ):
            assert row is not None, f"{view.name}: readers know nothing of partition {number}"
            told = self._era(view).told[view.log_hash]
            _same(
                PartitionProgress.from_row(row),
                told.progress(number, ends[number]),
                f"{view.name}, p{number}",
            )

    def _archive(self, log_hash: str) -> None:
        """Each event that counts is archived once, from where it came."""
        world = self._world
        wanted = [
            (
                origin_of(era.identity, f.partition),
                f.offset,
                f.place,
                f.event.user,
                f.event.at,
                f.fact.known_time,
                f.event.x,
            )
            for era in world.eras
            for f in era.told[log_hash].archived(era.archived.get(log_hash) or self._ends())
        ]
        table = world.offline.tables[TABLES[log_hash].name]
        columns = ["_origin", "_offset", "_place", "user", "_event_time", "_known_time", "x"]
        found = [row for run in table.at(None).runs for row in _tuples(run.facts, columns)]
        assert sorted(found, key=repr) == sorted(wanted, key=repr), "what is archived"

    def _quarantined(self, log_hash: str) -> None:
        """Each row that counts not is kept once, with where it came from and why."""
        world = self._world
        wanted = [
            (origin_of(era.identity, a.partition), a)
            for era in world.eras
            for a in era.told[log_hash].quarantined
            if a.offset < (era.quarantined.get(log_hash) or self._ends())[a.partition]
        ]
        table = world.offline.tables[aside_name(log_hash)]
        columns = ["_origin", "_offset", "_place", "reason", "payload"]
        found = [row for run in table.at(None).runs for row in _tuples(run.facts, columns)]
        found.sort(key=lambda row: row[:3])
        wanted.sort(key=lambda pair: (pair[0], pair[1].offset, pair[1].place))
        assert len(found) == len(wanted), "quarantined rows"
        for row, (origin, quarantined) in zip(found, wanted, strict=True):
            assert row[:3] == (origin, quarantined.offset, quarantined.place)
            _same_reason(quarantined, *row[3:])


def _same(progress: PartitionProgress, wanted: PartitionProgress, what: str) -> None:
    assert progress == wanted, f"{what}: {progress}, and the log says {wanted}"
    assert (
        progress.consumed
        == progress.folded + progress.late + progress.duplicate + progress.quarantined
    )


def _same_reason(quarantined: Quarantined, reason: str, payload: bytes) -> None:
    assert (reason if reason in _REASONS else UNREADABLE) == quarantined.reason
    assert quarantined.payload in (None, payload)


def _named(rows: Mapping[int, bytes]) -> dict[int, tuple[int, int]]:
    """Users and the versions of their rows."""
    return {user: version_of(row) for user, row in sorted(rows.items())}


@cache
def _compiled(view: FeatureView) -> tuple[ViewPlan, RowLayout]:
    plan = compile_view(view)
    return plan, RowLayout(plan)


@cache
def _prefix(view: FeatureView) -> bytes:
    return TENANT.rows_of(view.definition_hash).prefix


def _user(key: bytes) -> int:
    return USER_OF[key[PREFIX_BYTES:]]


def _tuples(facts: pa.Table, columns: list[str]) -> list[tuple[Any, ...]]:
    plain = [
        c.cast(pa.int64()) if pa.types.is_timestamp(c.type) else c
        for c in facts.select(columns).columns
    ]
    return list(zip(*(c.to_pylist() for c in plain), strict=True))


def _bits(value: Any) -> Any:
    """Equal for values of the same bits, and for no others."""
    if isinstance(value, dict):
        return {name: _bits(v) for name, v in value.items()}
    if isinstance(value, list):
        return [_bits(v) for v in value]
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    return value
