"""The state of a machine: LMDB files as they are, with things going wrong around each commit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from noskew.errors import FencedError
from noskew.stores.lmdb.environment import Environment, Transaction
from noskew.stores.state.lmdb import StateStore
from tests.simulation.calls import Calls

T = TypeVar("T")
#: Much more than a run needs: growing it would cost time.
MAP_SIZE = 16 << 20


class SimulatedState(StateStore):
    """The state as one process sees it. ``name`` begins those of its calls."""

    def __init__(self, path: Path, calls: Calls, who: str, name: str) -> None:
        super().__init__(path, map_size=MAP_SIZE)
        self._calls, self._who, self._name = calls, who, name

    def opened(self) -> Environment:
        made = _Watched(super().opened(), self._calls, self._who, self._name)
        return made  # type: ignore[return-value]


class _Watched:
    """The two calls by which a state reads and writes its files."""

    def __init__(self, environment: Environment, calls: Calls, who: str, name: str) -> None:
        self._environment, self._calls, self._who, self._name = environment, calls, who, name

    def read(self, action: Callable[[Transaction], T]) -> T:
        return self._calls.around(
            self._who, f"{self._name}.read", lambda: self._environment.read(action)
        )

    def write(self, action: Callable[[Transaction], int]) -> int:
        return self._calls.around(self._who, f"{self._name}.write", lambda: self._write(action))

    def _write(self, action: Callable[[Transaction], int]) -> int:
        before = self._transactions()
        try:
            return self._environment.write(action)
        except FencedError:
            assert self._transactions() == before, "a worker was refused, and changed something"
            raise

    def _transactions(self) -> int:
        """How many were committed ever."""
        return int(self._environment.opened().info()["last_txnid"])
