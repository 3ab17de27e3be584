"""What goes wrong around the calls of processes, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from noskew.errors import ConflictError, NoskewError, StoreFullError, StoreUnavailableError
from tests.simulation.calls import Crash
from tests.simulation.world import World

T = TypeVar("T")

#: At which calls something can happen. A site that is named twice is chosen more often.
_SITES: dict[str, tuple[str, ...]] = {
    "crash": (
        "state.write",
        "state.write",
        "archive.write",
        "online.write",
        "online.delete",
        "offline.append",
        "offline.compact",
        "log.poll",
    ),
    "fail": (
        "online.read",
        "online.write",
        "online.write",
        "online.delete",
        "online.generation",
        "offline.info",
        "offline.read",
        "offline.append",
        "log.poll",
        "log.bounds",
    ),
    "full": ("state.write", "archive.write"),
    "roll back": ("online.write", "online.write", "online.read", "online.generation"),
    "empty": ("online.read", "online.read", "online.write", "online.generation"),
    "meanwhile": (
        "state.read",
        "state.write",
        "archive.read",
        "archive.write",
        "online.read",
        "online.write",
        "online.delete",
        "offline.info",
        "offline.append",
        "log.bounds",
        "log.poll",
    ),
}
#: What a store may do in part, and raise.
_IN_PARTS = {"online.write", "online.delete"}


def _moments(kind: str, site: str) -> tuple[str, ...]:
    """When it can happen: before the call is made, when it is done, or when a part of it is."""
    if kind == "full":
        return ("before",)  # a commit of LMDB that raises has changed nothing
    if kind in {"crash", "fail"} and site in _IN_PARTS:
        return ("before", "after", "partly", "partly")
    return ("before", "after")


@dataclass
class Armed:
    """A fault that waits for a call: the one of its site after ``left`` others."""

    kind: str
    site: str
    when: str
    left: int


class Nemesis:
    """Stands between processes and their stores.

    ``meanwhile`` lets others do something while a process is in the middle of a call.
    """

    def __init__(self, world: World, trace: Counter[str], say: Callable[[str], None]) -> None:
        self._random, self._online, self._trace, self._say = world.random, world.online, trace, say
        self._is_embedded = world.is_embedded
        self.meanwhile: Callable[[], None] = _nothing
        self._armed: list[Armed] = []

    def arm(self, kind: str) -> None:
        """Let something go wrong at one of the next calls."""
        sites = _SITES[kind]
        if self._is_embedded:  # its rows are written with the state
            sites = tuple(s for s in sites if not s.startswith("online."))
        if sites:
            site = self._random.choice(sites)
            when = self._random.choice(_moments(kind, site))
            armed = Armed(kind, site, when, self._random.randint(0, 4))
            self._armed.append(armed)
            self._say(f"armed: {kind} {armed.when} call {armed.left} of {site}")

    def disarm(self) -> None:
        """Nothing goes wrong any more."""
        self._armed.clear()

    def around(
        self, who: str, site: str, call: Callable[[], T], partly: Callable[[], bool] | None = None
    ) -> T:
        armed = self._due(site)
        if armed is None:
            return call()
        if armed.when == "before":
            self._strike(armed, who)
            return call()
        if armed.when == "partly":
            assert partly is not None
            self._trace["calls done in part"] += partly()
            self._strike(armed, who)
        done = call()
        self._strike(armed, who)
        return done

    def roll_back(self) -> None:
        """A replica that is behind takes over from a shard."""
        if self._online.is_lasting:
            return
        shard = self._random.randrange(self._online.shards)
        if self._random.random() < 0.7:  # a few rows, and whatever was written after them
            changes = self._online.changes_since(shard, self._random.randint(1, 4))
        else:
            changes = self._random.randint(0, self._online.changes(shard))
        lost = self._online.roll_back(shard, changes)
        self._say(f"shard {shard} is rolled back and lost rows of {lost} entities")
        self._trace["roll-backs"] += 1
        self._trace["roll-backs that removed rows"] += lost > 0

    def empty(self) -> None:
        """Somebody empties the online store."""
        if self._online.is_lasting:
            return
        lost = self._online.empty()
        self._say(f"the online store is emptied of the rows of {lost} entities")
        self._trace["stores emptied of rows"] += lost > 0

    def _due(self, site: str) -> Armed | None:
        for armed in self._armed:
            if armed.site == site:
                if armed.left == 0:
                    self._armed.remove(armed)
                    return armed
                armed.left -= 1
        return None

    def _strike(self, armed: Armed, who: str) -> None:
        what = f"{armed.kind} {armed.when} {armed.site}"
        self._say(f"{who}: {what}")
        self._trace["faults"] += 1
        if armed.kind == "meanwhile":
            self.meanwhile()
        elif armed.kind == "roll back":
            self.roll_back()
        elif armed.kind == "empty":
            self.empty()
        elif armed.kind == "crash":
            raise Crash(what)
        else:
            raise self._error(armed)

    def _error(self, armed: Armed) -> NoskewError:
        if armed.kind == "full":
            return StoreFullError("the simulated disk is full")
        if armed.site == "offline.append" and armed.when == "before":
            return ConflictError("others committed again and again")
        return StoreUnavailableError(f"{armed.site} failed {armed.when}")


def _nothing() -> None: ...
