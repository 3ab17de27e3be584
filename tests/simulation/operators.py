"""What operators do: ``noskew stream rebuild`` and ``noskew stream verify``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from noskew.definitions.view import FeatureView
from noskew.errors import ConflictError, StoreError
from tests.simulation.calls import Undisturbed
from tests.simulation.crew import Crew
from tests.simulation.parts import Parts
from tests.simulation.world import Machine


class Operator:
    """Somebody at the keyboard of a machine. ``owes``: a rebuild that failed is to be repeated."""

    def __init__(self, crew: Crew, trace: Counter[str], say: Callable[[str], None]) -> None:
        self._world, self._crew = crew.world, crew
        self._trace, self._say = trace, say
        self.owes = False

    def rebuild(self, machine: Machine) -> None:
        """Make all rows anew, whoever streams meanwhile."""
        self.owes = True
        with self._crew.making(machine):
            self._crew.guard(lambda: self._rebuild(machine), "operator")

    def _rebuild(self, machine: Machine) -> None:
        with Parts(self._world, machine, self._crew.calls, "operator") as parts:
            for view in self._world.views:
                parts.renew(view)
                parts.ready(view)
        self.owes = False
        self._world.online.replicate()  # that takes less time than operators do
        self._trace["rebuilds"] += 1
        self._say(f"rows are made anew on {machine.name}")

    def verify(self, machine: Machine) -> None:
        """Compare what can be compared, whoever streams meanwhile."""
        with Parts(self._world, machine, Undisturbed(), "operator") as parts:
            for view in self._world.views:
                if parts.has_table(view) and parts.generations.of(view) is not None:
                    self._verify(parts, view)

    def _verify(self, parts: Parts, view: FeatureView) -> None:
        try:
            found = parts.verify(view)
        except ConflictError:
            return  # the archive is behind
        except StoreError:
            return  # the rows are not whole here, or the online store is down
        assert (found.different, found.missing, found.foreign) == (0, 0, 0), found
        self._trace["rows verified meanwhile"] += found.rows

    def verify_everything(self, machine: Machine) -> None:
        """Compare every row of a machine, and of the online store, when all is quiet."""
        with Parts(self._world, machine, Undisturbed(), "operator") as parts:
            for view in self._world.views:
                found = parts.verify(view)
                assert found.is_equal, f"{machine.name}: {found}"
                self._trace["rows verified"] += found.rows
