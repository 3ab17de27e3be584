"""Addresses: where data stands, worked out from who owns it, what it is, and which part is meant.

An address begins with the tenant, then says what the data *is* (the hash of its definition), then
the part. Content decides: two environments, or two versions of a project, that hold the same
definition share its rows, tables and certificates; two tenants never do. What a deployment
decides, such as which partition of which log a row came from, is an *origin*: a part of an address,
and never of a definition.

Every key, table name, record key, namespace, space and folder is made here and nowhere else.
``docs/addresses.md`` has the table of them with test vectors. Nothing here does I/O.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from noskew.types import check_name

#: Bytes of an online key that say tenant and definition. 64 bits: with a million views, a chance
#: of 3e-8 that any two share them.
PREFIX_BYTES = 8
#: Bytes that say which part of an entity's row one is.
PART_BYTES = 2
#: Digits of a hash in the name of a table.
_TABLE_DIGITS = 24
#: In the place of a partition's number: what concerns all of them.
_ALL = (1 << 32) - 1
#: No entity key begins with it, so what follows it in an online key is of the view as a whole.
_OF_VIEW = b"\xff\xff"
#: Of the keys of a frontier: made once, since every look at a stream asks for all of them.
_BYTES = [bytes([number]) for number in range(256)]


class Content(Protocol):
    """What data is: a feature view is one."""

    @property
    def definition_hash(self) -> str:
        """Of all that can change a value (SPEC §9)."""

    @property
    def has_partial_rows(self) -> bool:
        """Whether its entities have a row for each partition of a stream."""


@dataclass(frozen=True)
class Tenant:
    """Who owns data. Nothing of two tenants has the same address."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name, "tenant")

    @property
    def namespace(self) -> str:
        """Of the tenant's tables in a catalog; catalogs do not tell capital letters apart."""
        name = self.name
        if name == name.lower():
            return f"noskew_{name}"
        # As the digest of definitions is made, of the name as JSON text.
        digest = hashlib.blake2b(f'"{name}"'.encode(), digest_size=16).hexdigest()
        return f"noskew_{name.lower()}_{digest[:8]}"

    def rows(self, content: Content) -> OnlineRows:
        """The online rows of a view; whole rows and partial ones never mix."""
        layout = ":partial" if content.has_partial_rows else ""
        return self.rows_of(content.definition_hash + layout)

    def rows_of(self, definition: str) -> OnlineRows:
        """The online rows of a definition hash, of which the view is not at hand."""
        text = f"{self.name}:{definition}"
        return OnlineRows(hashlib.blake2b(text.encode(), digest_size=PREFIX_BYTES).digest())

    def stream_space(self, source: str, partition: int) -> bytes:
        """The space of a state store for one partition of a source."""
        text = f"{self.name}:{source}".encode()
        return hashlib.blake2b(text, digest_size=8).digest() + partition.to_bytes(4, "big")

    def views_space(self, source: str) -> bytes:
        """The space for what concerns all partitions of a source."""
        return self.stream_space(source, _ALL)


# ---------------------------------------------------------------- the online store


@dataclass(frozen=True)
class OnlineRows:
    """The keys of a view's rows in the online store: all begin with ``prefix``, of 8 bytes."""

    prefix: bytes

    def entity(self, key: bytes) -> bytes:
        """The row of an entity, by its encoded key."""
        return self.prefix + key

    @cached_property
    def heartbeat(self) -> bytes:
        """Says up to when the rows are known; no entity key is empty."""
        return self.prefix

    @cached_property
    def parts(self) -> bytes:
        """Says, in its version's number, of how many partitions the rows are."""
        return self._of_partition(_ALL)

    def progress(self, partition: int) -> bytes:
        """Says how far a stream's partition is folded, and that its rows are there."""
        return self._of_partition(partition)

    def fresh(self, partition: int) -> bytes:
        """Says up to which time nothing is missing of a stream's partition."""
        return self._of_partition(partition) + b"\0\0"

    def frontier(self, partition: int, turn: int = 0) -> list[bytes]:
        """Say, for every shard of a store, up to where a stream's rows were published.

        256 of them, so that each of a dozen shards has one but for a chance of 1e-9; and as
        many for each of two turns.
        """
        start = self._of_partition(partition) + (b"\1" if turn else b"")
        return [start + byte for byte in _BYTES]

    def _of_partition(self, partition: int) -> bytes:
        return self.prefix + _OF_VIEW + partition.to_bytes(4, "big")


def part_of(key: bytes, part: int) -> bytes:
    """The key of a part of an entity's row, from that of the whole.

    Part 0 is of facts that are not of the log; the one of partition n is n + 1.
    """
    return key + part_suffix(part)


def part_suffix(part: int) -> bytes:
    """What :func:`part_of` puts behind a key."""
    return part.to_bytes(PART_BYTES, "big")


def is_entity_key(key: bytes) -> bool:
    """Whether a key of the online store is that of an entity's row."""
    rest = key[PREFIX_BYTES : PREFIX_BYTES + 2]
    return bool(rest) and rest != _OF_VIEW


def has_generation(key: bytes) -> bool:
    """Whether the number of a stream's row under this key says how often rows were made anew.

    It does for entities, progress and frontiers; not where a time is told, or how many parts.
    """
    rest = key[PREFIX_BYTES:]
    if rest[:2] != _OF_VIEW:
        return bool(rest)
    return rest[2:] != b"\xff\xff\xff\xff" and rest[6:] != b"\0\0"


# ---------------------------------------------------------------- the offline store


def events_table(log_hash: str) -> str:
    """The table of the events of views that share their log hash."""
    return f"log_{log_hash[:_TABLE_DIGITS]}"


def quarantine_table(log_hash: str) -> str:
    """The table of the rows of their stream that are no events, or came too late."""
    return f"aside_{log_hash[:_TABLE_DIGITS]}"


def answers_table(digest: str) -> str:
    """The table of answers that were served; ``digest``: of the service's name and hash."""
    return f"served_{digest[:_TABLE_DIGITS]}"


def origin_of(log: str, partition: int | str) -> str:
    """How a partition of the log of an identity is called in tables, and in their notes.

    With an empty text for the partition: what the origins of a log begin with.
    """
    return f"{log}:{partition}"


# ---------------------------------------------------------------- the registry


def record_key(name: str, definition_hash: str) -> str:
    """Under which a record of a view or service is kept: different definitions never mix."""
    return f"{name}:{definition_hash}"


# ---------------------------------------------------------------- the state of streams


def archive_space(log_hash: str, partition: int) -> bytes:
    """The space in which the archive of one partition keeps the identities of events."""
    return bytes.fromhex(log_hash[:16]) + partition.to_bytes(4, "big")


_PROGRESS, _SEEN, _EXPIRY, _GENERATION = (bytes([tag]) for tag in range(3, 7))


@dataclass(frozen=True)
class StateKeys:
    """Keys of what concerns one view in a space. Tags keep them apart; see ``StateStore``."""

    prefix: bytes

    @cached_property
    def generation(self) -> bytes:
        """Which making of the view's rows counts."""
        return _GENERATION + self.prefix

    @cached_property
    def progress(self) -> bytes:
        """How far the view has read."""
        return _PROGRESS + self.prefix

    @cached_property
    def expiries(self) -> bytes:
        """What every :meth:`expiry` begins with."""
        return _EXPIRY + self.prefix

    def seen(self, identity: bytes) -> bytes:
        """When an event of this identity was accepted."""
        return _SEEN + self.prefix + identity

    def expiry(self, known: int, identity: bytes) -> bytes:
        """As :meth:`seen`, in the order of time (µs), to forget the oldest."""
        return self.expiries + time_bytes(known) + identity


def time_bytes(micros: int) -> bytes:
    """A time as eight bytes that compare like it."""
    return (micros + (1 << 63)).to_bytes(8, "big")


def time_of(data: bytes) -> int:
    """The inverse of :func:`time_bytes`."""
    return int.from_bytes(data, "big") - (1 << 63)


# ---------------------------------------------------------------- files beside a project


@dataclass(frozen=True)
class Folders:
    """Where a project keeps its own files, below its directory."""

    root: Path

    @property
    def hidden(self) -> Path:
        """All that is made and not written by people."""
        return self.root / ".noskew"

    @property
    def logs(self) -> Path:
        """Local logs, each in a folder of its source's name."""
        return self.hidden / "streams" / "log"

    def archive_state(self, source: str) -> Path:
        """What the archive of a source's stream remembers."""
        return self.hidden / "streams" / "archive" / source

    def stream_state(self, source: str) -> Path:
        """The state of a source's stream, where the online store is not embedded."""
        return self.hidden / "streams" / "state" / source

    def training_set(self, project: str, name: str, digest: str) -> Path:
        """The content of a saved training set. Raises InvalidNameError for what is no name."""
        folder = self.hidden / "training_sets" / check_name(project, "project")
        return folder / f"{check_name(name, 'training set')}-{digest}.parquet"

    def shared_code(self, digest: str) -> Path:
        """The project's feature files, packed for tasks on other machines."""
        return self.hidden / "spark" / f"features_{digest}.zip"
