"""Which node of a Redis Cluster is sent what, and where to next; pure, without any I/O."""

from __future__ import annotations

from binascii import crc_hqx
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import hiredis

from noskew.errors import StoreUnavailableError
from noskew.stores.online.redis.address import Address, pack
from noskew.stores.online.redis.faults import ConnectionLostError, unreachable

Endpoint: TypeAlias = tuple[str, int]

SLOTS = 16_384
_ASKING = pack(b"ASKING")
#: The owner of a slot that no node serves.
NOBODY: Endpoint = ("", 0)


@dataclass(frozen=True, slots=True)
class Part:
    """What one node is asked in one round."""

    endpoint: Endpoint
    positions: list[int]
    commands: bytes
    asking: bool = False
    #: How long to wait for the answer, connection included; None: for each the usual time.
    within_s: float | None = None

    @property
    def count(self) -> int:
        """How many replies there will be."""
        return len(self.positions) * (2 if self.asking else 1)


class Job:
    """Which commands still have to be sent where; pure, so that both kinds of I/O share it."""

    def __init__(self, keys: Sequence[bytes], commands: list[bytes]) -> None:
        self.replies: list[object] = [None] * len(commands)
        self.misrouted = False
        self._slots = list(map(key_slot, keys))
        self._commands = commands
        self._pending: Sequence[int] = range(len(commands))
        self._asking: dict[Endpoint, list[int]] = {}
        self._moved: dict[int, Endpoint] = {}
        self._unloaded: set[Endpoint] = set()
        self._losses = 0
        self._cut_off = False

    def needed(self, owners: list[Endpoint]) -> set[Endpoint]:
        """Who has the slots of the commands that still have to be sent."""
        return {owners[self._slots[position]] for position in self._pending}

    def parts(self, owners: list[Endpoint]) -> list[Part]:
        """What to send next; empty when every command has its reply."""
        by_owner: defaultdict[Endpoint, list[int]] = defaultdict(list)
        slots, commands = self._slots, self._commands
        for position in self._pending:
            by_owner[owners[slots[position]]].append(position)
        if NOBODY in by_owner:
            slot = slots[by_owner[NOBODY][0]]
            raise StoreUnavailableError(f"no node of the cluster serves slot {slot}; repair it")
        parts = [
            Part(endpoint, positions, b"".join([commands[p] for p in positions]))
            for endpoint, positions in by_owner.items()
        ]
        for endpoint, positions in self._asking.items():
            packed = b"".join([_ASKING + commands[p] for p in positions])
            parts.append(Part(endpoint, positions, packed, asking=True))
        return parts

    def absorb(self, parts: list[Part], answers: list[list[object]]) -> None:
        """Take the replies to all ``parts``; keep what was redirected for the next round."""
        again: list[int] = []
        self._pending, self._asking = again, {}
        first = not self._cut_off
        for part, answer in zip(parts, answers, strict=True):
            replies = answer[1::2] if part.asking else answer
            for position, reply in zip(part.positions, replies, strict=True):
                if isinstance(reply, hiredis.ReplyError) and (
                    self._redirect(part, position, reply) or (first and self._is_cut_off(reply))
                ):
                    again.append(position)
                else:
                    self.replies[position] = reply
        asked = {position for positions in self._asking.values() for position in positions}
        self._pending = [position for position in again if position not in asked]

    def take_unloaded(self) -> set[Endpoint]:
        """The nodes that do not know the script yet."""
        unloaded, self._unloaded = self._unloaded, set()
        return unloaded

    def lost(self, error: ConnectionLostError, address: Address) -> None:
        """Go on after a lost connection: one may have been idle too long, and one node replaced."""
        self._losses += 1
        self.misrouted = True
        if self._losses > 2:
            raise unreachable(f"a node of the cluster of {address}", error) from error

    def correct(self, owners: list[Endpoint]) -> None:
        """Apply what the nodes said themselves, which is newer than what others know of them."""
        for slot, endpoint in self._moved.items():
            owners[slot] = endpoint
        self._moved.clear()
        self.misrouted = False

    def _redirect(self, part: Part, position: int, error: hiredis.ReplyError) -> bool:
        """Whether to send a command again, and if so where."""
        word, _, rest = str(error).partition(" ")
        if word == "MOVED":
            self._moved[self._slots[position]] = _endpoint(rest, part.endpoint)
            self.misrouted = True
        elif word == "ASK":
            self._asking.setdefault(_endpoint(rest, part.endpoint), []).append(position)
        elif word == "NOSCRIPT":
            self._unloaded.add(part.endpoint)
        else:
            return word == "TRYAGAIN"
        return True

    def _is_cut_off(self, error: hiredis.ReplyError) -> bool:
        """Whether a node lost sight of the others: they may know who has its slots now."""
        if not str(error).startswith("CLUSTERDOWN"):
            return False
        self._cut_off = self.misrouted = True
        return True


def key_slot(key: bytes) -> int:
    """The slot of a key: CRC-16/XMODEM of what stands in its first braces, else of all of it.

    Source: the Redis Cluster specification, "Hash tags".
    """
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS


def _endpoint(text: str, asked: Endpoint) -> Endpoint:
    """The node in ``<slot> <host>:<port>``; without a host, that of the node that said so."""
    host, _, port = text.rsplit(maxsplit=1)[-1].rpartition(":")
    return host or asked[0], int(port)
