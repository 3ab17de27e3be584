"""Pushed: what a push gives back, in process and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from noskew.clock import MIN_TIME


@dataclass(frozen=True, eq=False)
class Pushed(Mapping[int, int]):
    """Events that are in a log now: the offset after them, for each partition that got some.

    Whatever else it says, they are there for good, so a push that returned is never to be
    repeated; one that was not accepted raises.

    Attributes
    ----------
    offsets
        The same as a plain dictionary.
    since
        µs: none of the append times is earlier. Not told over HTTP.
    readable
        True: every online view of the source has them, and reads see them. False: that was not
        so when the time to wait was over. None: nobody waited.
    behind
        The views that did not have them yet, by name.
    """

    offsets: Mapping[int, int]
    since: int = field(default=MIN_TIME, repr=False)
    readable: bool | None = None
    behind: tuple[str, ...] = ()

    def __getitem__(self, partition: int) -> int:
        return self.offsets[partition]

    def __iter__(self) -> Iterator[int]:
        return iter(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets)


def pushed_body(count: int, pushed: Pushed) -> bytes:
    """The body of the answer to a push of ``count`` rows."""
    members: dict[str, Any] = {
        "appended": count,
        "offsets": {str(partition): offset for partition, offset in pushed.items()},
    }
    if pushed.readable is not None:
        members["readable"] = pushed.readable
        members["behind"] = pushed.behind
    return orjson.dumps(members)


def read_pushed(body: bytes) -> Pushed:
    """What an answer to a push says; the inverse of :func:`pushed_body`."""
    members = orjson.loads(body)
    return Pushed(
        {int(partition): offset for partition, offset in members["offsets"].items()},
        readable=members.get("readable"),
        behind=tuple(members.get("behind", ())),
    )
