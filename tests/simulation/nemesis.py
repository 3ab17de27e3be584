"""What goes wrong around the calls of processes, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from noskew.errors import ConflictError, NoskewError, StoreFullError, StoreUnavailableError
from tests.simulation.calls import Crash
from tests.simulation.online import OnlineServer
from tests.simulation.spared import ARCHIVE_STATE_FULL, SPARED

T = TypeVar("T")

#: What can happen at a call: the sites at which it can, and whether before the call, after it,
#: or after a part of it. A commit of LMDB that raises has changed nothing.
_FAULTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "crash": (
        ("state.write", "state.write", "archive.write", "online.write", "online.delete",
         "offline.append", "offline.compact", "log.poll"),
        ("before", "after", "partly"),
    ),
    "fail": (
        ("online.read", "online.write", "online.write", "online.delete", "online.generation",
         "offline.info", "offline.read", "offline.append", "log.poll", "log.bounds"),
        ("before", "after", "partly"),
    ),
    "full": (("state.write", "archive.write"), ("before",)),
    "roll back": (("online.read", "online.write", "online.generation"), ("before", "after")),
    "empty": (("online.read", "online.write", "online.generation"), ("before", "after")),
    "meanwhile": (
        ("state.read", "state.write", "archive.read", "archive.write", "online.read",
         "online.write", "online.delete", "offline.info", "offline.append", "log.bounds",
         "log.poll"),
        ("before", "after"),
    ),
}  # fmt: skip


@dataclass
class Armed:
    """A fault that waits for a call: the one of its site after ``left`` others."""

    kind: str
    site: str
    when: str
    left: int


class Nemesis:
    """Stands between processes and their stores.

    ``meanwhile`` lets another process do something while one is in the middle of a call.
    """

    def __init__(
        self,
        random: Random,
        online: OnlineServer,
        trace: Counter[str],
        say: Callable[[str], None],
        meanwhile: Callable[[str], None],
        *,
        is_embedded: bool,
    ) -> None:
        self._random, self._online, self._trace, self._say = random, online, trace, say
        self._meanwhile, self._is_embedded = meanwhile, is_embedded
        self._armed: list[Armed] = []

    def arm(self, kind: str) -> None:
        """Let something go wrong at one of the next calls."""
        sites, moments = _FAULTS[kind]
        if self._is_embedded:  # its rows are written with the state
            sites = tuple(s for s in sites if not s.startswith("online."))
        if kind == "full" and ARCHIVE_STATE_FULL in SPARED:
            sites = ("state.write",)
        if sites:
            site = self._random.choice(sites)
            armed = Armed(kind, site, self._random.choice(moments), self._random.randint(0, 4))
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
        if armed.when == "before" or (armed.when == "partly" and partly is None):
            self._strike(armed, who)
            return call()
        if armed.when == "partly" and partly is not None:
            self._trace["calls done in part"] += partly()
            self._strike(armed, who)
        done = call()
        self._strike(armed, who)
        return done

    def roll_back(self) -> None:
        """A replica that is behind takes over from a shard."""
        shard = self._random.randrange(self._online.shards)
        changes = self._online.changes(shard)
        most = self._random.choice([20, 300, 2_000, changes])
        lost = self._online.roll_back(shard, self._random.randint(0, min(most, changes)))
        self._say(f"shard {shard} is rolled back and lost rows of {lost} entities")
        self._trace["roll-backs"] += 1
        self._trace["roll-backs that removed rows"] += lost > 0

    def empty(self) -> None:
        """Somebody empties the online store."""
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
        self._trace[what] += 1
        if armed.kind == "meanwhile":
            self._meanwhile(who)
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
