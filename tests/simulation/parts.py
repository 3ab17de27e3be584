"""What a process of a stream is made of. Nothing else here makes a part of noskew.streaming."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from noskew.definitions.view import FeatureView
from noskew.intake.tables import table_name
from noskew.registry.base import Registry
from noskew.resources import Closing
from noskew.stores.online.base import OnlineStore
from noskew.stores.online.lmdb import LmdbStore
from noskew.streaming.archive.archive import Archive
from noskew.streaming.fold.event_pipeline import EventPipeline
from noskew.streaming.fold.generation import StreamGenerations
from noskew.streaming.fold.partition import PartitionFold
from noskew.streaming.fold.view_fold import ViewFold
from noskew.streaming.publish.publisher import Publishing
from noskew.streaming.publish.publishers import publishing
from noskew.streaming.status.verification import Verification, Verified
from noskew.streaming.workers.bootstrap import Bootstrap
from noskew.streaming.workers.fold_base import FoldBase
from tests.simulation.log import SimulatedLog
from tests.simulation.offline import SimulatedOffline
from tests.simulation.online import SimulatedOnline
from tests.simulation.project import TABLES, TENANT
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
        registry: Registry = world.registry  # type: ignore[assignment]
        self.generations = StreamGenerations(TENANT.name, registry, world.clock)
        self._bootstrap = Bootstrap(
            self._source, TENANT, self.log, self.offline, self.online, self.state, self.generations
        )

    def ready(self, view: FeatureView) -> ViewFold:
        """The fold of a view, its rows made if they were not."""
        return self._bootstrap.ready(view, table_name(view))

    def base(self, folds: Sequence[ViewFold]) -> FoldBase:
        """The rows that a process folds on."""
        return FoldBase(self._bootstrap, folds)

    def renew(self, view: FeatureView) -> None:
        """Agree that a view's rows are made anew."""
        self._bootstrap.renew(view, table_name(view))

    def partition(self, folds: Sequence[ViewFold], number: int) -> PartitionFold:
        """A partition, taken over from whoever had it."""
        space = self.state.space(TENANT.stream_space(self._source, number))
        pipeline = EventPipeline([fold.view for fold in folds], self._decode)
        return PartitionFold(folds, number, pipeline=pipeline, state=self.state, space=space)

    def publishing(self, base: FoldBase) -> Publishing:
        """What takes rows to the online store."""
        return publishing(self.online, self.state, base.generations())

    def archive(self, view: FeatureView, partitions: Iterable[int]) -> Archive:
        """What takes events to the offline store."""
        spec = TABLES[view.log_hash]
        self.offline.create(spec)
        return Archive(
            view,
            self.log,
            partitions,
            decode=self._decode,
            state=self.archive_state,
            offline=self.offline,
            spec=spec,
        )

    def has_table(self, view: FeatureView) -> bool:
        """Whether anything of a view was ever archived."""
        return table_name(view) in self.offline.tables()

    def verify(self, view: FeatureView) -> Verified:
        """The rows of a view beside those computed anew."""
        check = Verification(self._source, TENANT, self.log, self.offline, self.online, self.state)
        return check.run(view, table_name(view))

    def close(self) -> None:
        """Let go of the files."""
        self.state.close()
        self.archive_state.close()
        self.online.close()
