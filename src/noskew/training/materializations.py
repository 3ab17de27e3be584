"""How far views came online: what the registry records, and what the online store holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from noskew.addresses import OnlineRows, Tenant, is_entity_key
from noskew.clock import Clock
from noskew.definitions.view import FeatureView
from noskew.errors import InputError
from noskew.registry.base import Registry
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import MATERIALIZED
from noskew.registry.records.record import Record
from noskew.registry.records.views import MaterializedUntil
from noskew.stores.offline.base import OfflineStore
from noskew.stores.online.base import OnlineStore
from noskew.training.materialize import EarlierRun, Materialized, materialize
from noskew.training.progress import ViewProgress, of_one
from noskew.training.spark.materialize import filled_by
from noskew.training.spark.task_project import RunnerProject

#: Rows of an earlier definition that are removed in one call.
_DELETE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows the online store had of a definition that is not applied."""

    view: str
    definition_hash: str
    rows: int


@dataclass(frozen=True, slots=True)
class Materializations:
    """The views of one project that were brought online, and how far."""

    tenant: Tenant
    registry: Registry
    clock: Clock

    def run_all(
        self,
        views: Iterable[FeatureView],
        offline: OfflineStore,
        online: OnlineStore,
        *,
        until: int,
        full: bool,
        progress: ViewProgress | None = None,
        spark: RunnerProject | None = None,
    ) -> list[Materialized]:
        """Write what was learned since the last run (all, if ``full``) of views that are online.

        ``spark``: what writes; None for this process.

        Views whose rows a stream keeps are left out: the offline store is behind it. Raises
        InputError if there is no other view.
        """
        chosen = [v for v in views if v.online]
        streamed = {v.name for v in chosen if self._is_streamed(v, online)}
        if streamed and len(streamed) == len(chosen):
            raise InputError(
                f"a stream keeps {', '.join(sorted(streamed))} online, and is ahead of the offline "
                f"store; run 'noskew stream' for the source to bring them up to date"
            )
        runs = []
        for view in chosen:
            if view.name not in streamed:
                since = None if full else self._since(view, until)
                done = materialize(
                    view,
                    offline,
                    online,
                    tenant=self.tenant,
                    until=until,
                    since=since,
                    progress=of_one(progress, view.name),
                    fill=filled_by(spark) if spark else None,
                )
                self._remember(view, done)
                runs.append(done)
        return runs

    def _is_streamed(self, view: FeatureView, online: OnlineStore) -> bool:
        if view.source.stream is None:
            return False
        if view.has_partial_rows:  # there is no row for what is of no partition and of all
            return True
        first = self.tenant.rows(view).progress(0)
        return online.read([first]) != [None]

    def prune(
        self, views: Iterable[FeatureView], online: OnlineStore, *, dry_run: bool = False
    ) -> list[Pruned]:
        """Remove the online rows of every definition that was materialized and is not in ``views``.

        ``dry_run``: only count them.
        """
        # Rows belong to a hash, not to a name: a view that was renamed has them still.
        current = {v.definition_hash for v in views}
        pruned = []
        for record in self.registry.records(self.tenant.name, MATERIALIZED):
            if record.key.definition_hash not in current:
                prefix = self.tenant.rows_of(record.key.definition_hash).prefix
                rows = _count(prefix, online) if dry_run else _remove(prefix, online)
                if not dry_run:
                    self.registry.delete_record(self.tenant.name, MATERIALIZED, record.key)
                pruned.append(Pruned(record.key.name, record.key.definition_hash, rows))
        return pruned

    def _remember(self, view: FeatureView, done: Materialized) -> None:
        until = MaterializedUntil(done.until, done.sequence, done.snapshot_number)
        record = Record(MATERIALIZED, DefinitionKey.of(view), until, self.clock.now())
        self.registry.put_record(self.tenant.name, record)

    def _since(self, view: FeatureView, until: int) -> EarlierRun | None:
        last = self._last(view)
        if last is None or until < last.until:
            return None  # going back in time: rows of a later version win anyway
        return EarlierRun(last.until, last.sequence)

    def _last(self, view: FeatureView) -> MaterializedUntil | None:
        record = self.registry.record(self.tenant.name, MATERIALIZED, DefinitionKey.of(view))
        return record.value if record else None


def _count(prefix: bytes, online: OnlineStore) -> int:
    return sum(is_entity_key(key) for key, _ in online.scan(prefix))


def _remove(prefix: bytes, online: OnlineStore) -> int:
    """Remove the rows of a definition; returns how many there were.

    The heartbeat goes first, and again at the end: whatever dies half way, or runs at the same
    time, the next materialize finds no heartbeat and writes every row again.
    """
    beat = [OnlineRows(prefix).heartbeat]
    online.delete(beat)
    rows = 0
    keys = (key for key, _ in online.scan(prefix))
    while batch := list(islice(keys, _DELETE_ROWS)):
        online.delete(batch)
        rows += sum(map(is_entity_key, batch))
    online.delete(beat)
    online.sync()
    return rows
