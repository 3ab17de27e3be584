"""The simulation finds what it is there for: noskew is broken on purpose, and a seed says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from noskew.addresses import OnlineRows
from noskew.clock import MIN_TIME
from noskew.kernel.rows.codec import VERSION_BYTES
from noskew.stores.log.base import Messages
from noskew.stores.state.lmdb import Space
from noskew.streaming.archive.archive import Archive
from noskew.streaming.decoding.base import DecodedMessages
from noskew.streaming.fold.identities import Identities
from noskew.streaming.fold.progress import PartitionProgress
from noskew.streaming.fold.screening import Screened, Screening
from noskew.streaming.publish import publisher
from noskew.streaming.publish.lasting import Lasting
from noskew.streaming.publish.publisher import Remote, View
from noskew.streaming.workers.bootstrap import Bootstrap
from tests.simulation.offline import SimulatedOffline
from tests.simulation.online import OnlineServer, SimulatedOnline
from tests.simulation.run import play

#: Seeds within which each fault must be found: the rarest one shows in one run of sixty.
_SEEDS = 400
_write, _append, _commit_at = OnlineServer.write, SimulatedOffline.append, Space._commit
_commit, _screen = Space.commit, Screening.__call__


def write_any_version(store: OnlineServer, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
    store.rows.delete(keys)
    return _write(store, keys, rows)


def commit_rows_apart(
    space: Space,
    puts: Sequence[tuple[bytes, bytes]] = (),
    *,
    epoch: int,
    rows: Sequence[tuple[bytes, bytes]] = (),
    **other: Any,
) -> None:
    _commit(space, rows=rows, epoch=epoch, **other)
    _commit(space, puts, epoch=epoch)


def commit_of_any_epoch(space: Space, transaction: Any, *, epoch: int, **other: Any) -> int:
    del epoch
    held = int.from_bytes(transaction.get(space.key(b"\x00epoch")) or b"", "big")
    return _commit_at(space, transaction, epoch=held, **other)


def append_unexpected(store: SimulatedOffline, *given: Any, expected: Any, **other: Any) -> Any:
    del expected
    return _append(store, *given, **other)


def known_steps_back(
    screening: Screening, messages: Messages, decoded: DecodedMessages, progress: PartitionProgress
) -> Screened:
    return _screen(screening, messages, decoded, replace(progress, known=MIN_TIME))


def read_again_is_new(
    screening: Screening, messages: Messages, decoded: DecodedMessages, progress: PartitionProgress
) -> Screened:
    return _screen(screening, messages, decoded, replace(progress, next_offset=0))


def one_frontier(rows: OnlineRows, partition: int, turn: int) -> list[bytes]:
    del turn
    return _frontier(rows, partition)


def forget_what_fails(remote: Remote, view: Any) -> None:
    rows, progress = dict(view.rows), dict(view.progress)
    view.rows.clear()
    view.progress.clear()
    remote._put(rows)
    remote._put(progress)


def forget_at_once(identities: Identities, progress: PartitionProgress) -> int:
    del identities
    return progress.known


def nothing(*given: Any) -> None:
    del given


def restore_none(identities: Identities, facts: Any, *, epoch: int) -> None:
    del facts
    identities._clear(epoch)


def epoch_of(space: Space) -> int:
    (held,) = space.read([b"\x00epoch"])
    return int.from_bytes(held or b"", "big")


def make_without_claim(bootstrap: Bootstrap, number: int, info: Any) -> Any:
    with patch.object(Space, "claim", epoch_of):
        return _claimed(bootstrap, number, info)


_claimed, _frontier = Bootstrap._claimed, OnlineRows.frontier


class Mutation(NamedTuple):
    """``broken`` in the place of an attribute. ``focus``: what must go wrong for it to matter."""

    where: Any
    name: str
    broken: Any
    focus: Sequence[str]


MUTATIONS: Mapping[str, Mutation] = {
    "a store takes rows of any version": Mutation(
        OnlineServer, "write", write_any_version, ["meanwhile"]
    ),
    "rows and progress are committed apart": Mutation(Space, "commit", commit_rows_apart, ["full"]),
    "who was overtaken commits on": Mutation(Space, "_commit", commit_of_any_epoch, ["take"]),
    "the archive expects nothing": Mutation(
        SimulatedOffline, "append", append_unexpected, ["meanwhile"]
    ),
    "the archive keeps old ids": Mutation(Archive, "_restore", nothing, ["lose a machine"]),
    "known times step back": Mutation(Screening, "__call__", known_steps_back, ["slow"]),
    "what is read again is folded again": Mutation(
        Screening, "__call__", read_again_is_new, ["read again"]
    ),
    "ids are forgotten at once": Mutation(Identities, "oldest", forget_at_once, ["crash"]),
    "ids are not restored": Mutation(Identities, "restore", restore_none, ["lose a machine"]),
    "nobody looks for lost rows": Mutation(Remote, "_find_lost", nothing, ["roll back"]),
    "nobody looks who holds the rows": Mutation(
        SimulatedOnline, "generation", lambda _: b"", ["roll back at a call"]
    ),
    "rows that could not be published are forgotten": Mutation(
        Remote, "_write", forget_what_fails, ["outage"]
    ),
    "there is one frontier only": Mutation(
        OnlineRows, "frontier", one_frontier, ["empty at a call"]
    ),
    "rows are made without a claim": Mutation(
        Bootstrap, "_claimed", make_without_claim, ["rebuild", "meanwhile"]
    ),
    "rows of a log that is gone stay": Mutation(
        publisher, "replace_lost", nothing, ["replace the log"]
    ),
    "a stream runs through a rebuild": Mutation(
        Bootstrap, "check_registry", nothing, ["rebuild", "take"]
    ),
}


def nothing_is_lacking(publishing: Lasting) -> None:
    Remote._begin(publishing)
    publishing._joined.clear()


def published_of_any_generation(publishing: Lasting, view: View, number: int) -> bytes:
    (row,) = publishing._online.read([OnlineRows(view.prefix).progress(number)])
    return b"" if row is None else row[:VERSION_BYTES]


#: Where the store loses nothing.
LASTING: Mapping[str, tuple[str, Any]] = {
    "what was never published is not looked for": ("_begin", nothing_is_lacking),
    "what is published of rows before counts": ("_published", published_of_any_generation),
}


@pytest.mark.parametrize("fault", list(LASTING))
def test_a_seed_finds_where_the_store_loses_nothing(fault: str) -> None:
    name, broken = LASTING[fault]
    with patch.object(Lasting, name, broken), pytest.raises(AssertionError):
        play_all((), is_lasting=True)


@pytest.mark.parametrize("fault", list(MUTATIONS))
def test_a_seed_finds(fault: str) -> None:
    where, name, broken, focus = MUTATIONS[fault]
    with patch.object(where, name, broken), pytest.raises(AssertionError):
        play_all(focus)


def play_all(focus: Sequence[str], *, is_lasting: bool = False) -> None:
    """Runs in which that goes wrong which uncovers the fault soonest."""
    for seed in range(_SEEDS):
        play(seed, focus=focus, is_lasting=is_lasting)
