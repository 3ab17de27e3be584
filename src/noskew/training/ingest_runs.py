"""Runs of ingest: what the registry records of each, and how one is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

import msgspec

from noskew.addresses import Tenant
from noskew.clock import Clock
from noskew.definitions.project import Project
from noskew.errors import NotFoundError
from noskew.intake.tables import one_per_log
from noskew.registry.base import Registry
from noskew.registry.records.ingests import IngestRun, ViewIngest
from noskew.registry.records.kinds import INGEST
from noskew.registry.records.record import Record
from noskew.stores.offline.base import OfflineStore
from noskew.training.ingest import IngestReport
from noskew.training.relation.runs import new_run, run_id, run_number
from noskew.training.relation.undo import Undone, undo

#: The reports of a run, of one view after the other, while it is done; it is given its number.
RunReports = Callable[[int], Iterable[IngestReport]]
#: Runs that the registry remembers; older ones are forgotten, and can be undone no more.
MOST_RUNS = 1_000
#: Views that a record tells of one by one: whoever lists runs reads all of it.
MOST_VIEWS = 100
#: After one run in so many, at random, older ones are forgotten: all of them are read for that.
_EVERY = 64


@dataclass(frozen=True, slots=True)
class IngestRuns:
    """The runs of one project."""

    tenant: Tenant
    registry: Registry
    clock: Clock

    def run(self, source: str | None, reports: RunReports) -> list[IngestReport]:
        """Do a run: it is recorded before and after, whatever becomes of it."""
        number = new_run()
        started = IngestRun(self.clock.now(), source)
        self._put(run_id(number), started)
        done: list[IngestReport] = []
        try:
            for report in reports(number):
                done.append(report)
        finally:
            views, now = _views(done), self.clock.now()
            ended = msgspec.structs.replace(started, ended=now, total=_total(done))
            if len(views) <= MOST_VIEWS:
                ended = msgspec.structs.replace(ended, views=views)
            self._put(run_id(number), ended)
            if number % _EVERY == 0:
                self._forget()
        return done

    def all(self) -> dict[str, IngestRun]:
        """Runs by their id, the newest first."""
        records = self.registry.records(self.tenant.name, INGEST)
        runs = sorted(records, key=lambda record: record.value.started, reverse=True)
        return {record.key: record.value for record in runs}

    def undo(self, run: str, project: Project, offline: OfflineStore) -> list[Undone]:
        """Undo a run: from now on it is as if it had not been.

        Raises NotFoundError for an id that no run has.
        """
        number, record = run_number(run), self.registry.record(self.tenant.name, INGEST, run)
        if record is None:
            raise NotFoundError(
                f"there is no ingest {run!r}; 'noskew list ingests' shows the last {MOST_RUNS:,}"
            )
        now, source = self.clock.now(), record.value.source
        views = one_per_log(v for v in project.views.values() if source in {None, v.source.name})
        done = [undo(view, offline, number, now) for view in views]
        if record.value.undone is None:
            self._put(run, msgspec.structs.replace(record.value, undone=now))
        return [d for d in done if d.retracted or d.restored]

    def _put(self, run: str, value: IngestRun) -> None:
        self.registry.put_record(self.tenant.name, Record(INGEST, run, value, self.clock.now()))

    def _forget(self) -> None:
        for run in list(self.all())[MOST_RUNS:]:
            self.registry.delete_record(self.tenant.name, INGEST, run)


def _total(reports: Iterable[IngestReport]) -> ViewIngest:
    total = IngestReport("")
    for report in reports:
        added = total.plus(report)
        parts, repeated = total.parts + report.parts, total.repeated + report.repeated
        behind = total.behind + report.behind
        total = replace(added, parts=parts, repeated=repeated, behind=behind)
    told = asdict(total)
    del told["view"]
    return ViewIngest(**told)


def _views(reports: Iterable[IngestReport]) -> dict[str, ViewIngest]:
    """What was done, by view; views that everything was known of are left out."""
    views = {}
    for report in reports:
        told = asdict(report)
        name = told.pop("view")
        if report.rows or report.retracted or report.refused or report.known:
            views[name] = ViewIngest(**told)
    return views
