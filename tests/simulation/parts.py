"""What a process of a stream is made of. Nothing else here makes a part of noskew.streaming."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from noskew.closing import Closing
from noskew.definitions.view import FeatureView
from noskew.intake.tables import table_name
from noskew.registry.store import SqlRegistry
from noskew.stores.online.base import OnlineStore
from noskew.stores.online.lmdb import LmdbStore
from noskew.streaming.archive import Archive
from noskew.streaming.bootstrap import Bootstrap
from noskew.streaming.footing import Footings
from noskew.streaming.ground import Ground
from noskew.streaming.keys import space_name
from noskew.streaming.partition import Partition
from noskew.streaming.publishers import publishing
from noskew.streaming.publishing import Publishing
from noskew.streaming.verification import Verification, Verified
from noskew.streaming.view_fold import ViewFold
from tests.simulation.log import SimulatedLog
from tests.simulation.offline import SimulatedOffline
from tests.simulation.online import SimulatedOnline
from tests.simulation.project import PROJECT, TABLES
from tests.simulation.state import MAP_SIZE, SimulatedState

if TYPE_CHECKING:
    from tests.simulation.calls import Calls
    from tests.simulation.world import Machine, World


class Parts(Closing):
    """The stores as a process on a machine sees them, and what is made on top of them."""

    def __init__(self, world: World, machine: Machine, calls: Calls, who: str) -> None:
        random = world.random
        self._source, self._decode = world.setting.source.name, world.setting.decode
        self.log = SimulatedLog(world.log, random, calls, who)
        self.offline = SimulatedOffline(world.offline, calls, who)
        self.state = SimulatedState(machine.state, calls, who, "state")
        self.archive_state = SimulatedState(machine.archive, calls, who, "archive")
        self.online: OnlineStore = (
            LmdbStore(machine.state, map_size=MAP_SIZE)
            if world.is_embedded
            else SimulatedOnline(world.online, random, calls, who)
        )
        self.seconds = world.seconds
        registry: SqlRegistry = world.registry  # type: ignore[assignment]
        self.footings = Footings(PROJECT, registry, world.clock)
        self._bootstrap = Bootstrap(
            self._source, PROJECT, self.log, self.offline, self.online, self.state, self.footings
        )

    def ready(self, view: FeatureView) -> ViewFold:
        """The fold of a view, its rows made if they were not."""
        return self._bootstrap.ready(view, table_name(view))

    def ground(self, folds: Sequence[ViewFold]) -> Ground:
        """The rows that a process folds on."""
        return Ground(self._bootstrap, folds)

    def renew(self, view: FeatureView) -> None:
        """Agree that a view's rows are made anew."""
        self._bootstrap.renew(view, table_name(view))

    def partition(self, folds: Sequence[ViewFold], number: int) -> Partition:
        """A partition, taken over from whoever had it."""
        space = self.state.space(space_name(PROJECT, self._source, number))
        return Partition(folds, number, decode=self._decode, state=self.state, space=space)

    def publishing(self, ground: Ground) -> Publishing:
        """What takes rows to the online store."""
        return publishing(self.online, self.state, ground.footings())

    def archive(self, view: FeatureView, partitions: Iterable[int]) -> Archive:
        """What takes events to the offline store."""
        spec = TABLES[view.log_hash]
        self.offline.create(spec)
        return Archive(
            view, self.log, partitions, decode=self._decode, state=self.archive_state,
            offline=self.offline, spec=spec,
        )  # fmt: skip

    def has_table(self, view: FeatureView) -> bool:
        """Whether anything of a view was ever archived."""
        return table_name(view) in self.offline.tables()

    def verify(self, view: FeatureView) -> Verified:
        """The rows of a view beside those computed anew."""
        check = Verification(
            self._source, PROJECT, self.log, self.offline, self.online, self.state
        )  # fmt: skip
        return check.run(view, table_name(view))

    def close(self) -> None:
        """Let go of the files."""
        self.state.close()
        self.archive_state.close()
        self.online.close()
