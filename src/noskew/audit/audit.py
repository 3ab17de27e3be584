"""Audit: what was served, computed again from the facts, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from noskew.answer_log.table import ServedTable
from noskew.audit.causes import skew_cause, version_of_row
from noskew.audit.judgement import BEHIND, DIFFERENT, UNDECIDED, VERDICTS, Judged, judge
from noskew.audit.recomputation import AuditedView, Recomputation, Served
from noskew.audit.report import Example, FeatureSkew, ServiceSkew, SkewReport
from noskew.audit.served import Period, get_served, kept, portions, served_table_of
from noskew.clock import MIN_TIME, Clock
from noskew.definitions.service import FeatureService, ServiceColumn
from noskew.definitions.view import FeatureView
from noskew.errors import DefinitionError, NoskewError
from noskew.intake.logs import Logs
from noskew.registry.base import Registry
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import MATERIALIZED, SKEW_AUDIT
from noskew.registry.records.record import Record
from noskew.registry.records.serving import SkewAudit, SkewCounts
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.log.base import EventLog
from noskew.stores.offline.base import OfflineStore
from noskew.streaming.fold.generation import StreamGenerations
from noskew.streaming.status.stream_status import archived
from noskew.training.training_set import TrainingSet

#: Examples that are kept of each feature and verdict.
_EXAMPLES = 5

#: Told of a service, and how many more of its served rows are done.
AuditProgress = Callable[[str, int], None]


@dataclass(frozen=True)
class Audit:
    """Audits what the servers of a project have served.

    It reads the offline store, the registry, and of streams the ends of their logs, and no
    online store.
    """

    project: str
    registry: Registry
    offline: OfflineStore
    logs: Logs
    clock: Clock

    def served(
        self, service: FeatureService, since: object, until: object, *, event_time: str
    ) -> TrainingSet:
        """The answers of a service, as it is defined, that were kept of a period."""
        period = Period.of(since, until, self.clock)
        return get_served(self.offline, service, period, event_time=event_time)

    def run(
        self,
        service: str | None,
        since: object,
        until: object,
        *,
        progress: AuditProgress | None = None,
    ) -> SkewReport:
        """Compare all that was kept of a period; of one service, or of all of them.

        ``since``, ``until``: see :meth:`Period.of`. What was found is recorded for the servers
        to tell as metrics. Raises NotFoundError for a service of which nothing was kept, and what
        the stores do.
        """
        period = Period.of(since, until, self.clock)
        by_service: dict[str, ServiceSkew] = {}
        for definition in kept(self.project, self.registry, service):
            skew = by_service.setdefault(definition.service, ServiceSkew(definition.service))
            try:
                table = served_table_of(definition)
            except DefinitionError as error:
                skew.faults.append(str(error))
            else:
                self._audit(table, period, skew, progress)
        report = SkewReport(period.since, period.until, list(by_service.values()))
        for skew in report.services:
            self._remember(skew, report)
        return report

    def _audit(
        self, table: ServedTable, period: Period, into: ServiceSkew, progress: AuditProgress | None
    ) -> None:
        service = table.service
        states = {v.name: self._state(v) for v in service.views}
        recomputation = Recomputation(service, self.offline)
        for rows in portions(self.offline, table, period):
            served = Served(table, rows, states)
            into.rows += len(served)
            try:
                judged = judge(service, served, states, recomputation)
            except DefinitionError as error:  # a function that is gone, changed, or fails
                _cannot(service, served, str(error), into)
            else:
                _count(service, judged, into)
            if progress is not None:
                progress(service.name, len(served))

    def _state(self, view: FeatureView) -> AuditedView:
        if view.source.stream is None:
            return AuditedView(runs=self._runs(view))
        generation = self._generations.of(view)
        covered = None if generation is None else self._covered(view, generation)
        return AuditedView(generation, covered, self._runs(view))

    @cached_property
    def _generations(self) -> StreamGenerations:
        return StreamGenerations(self.project, self.registry, self.clock)

    def _runs(self, view: FeatureView) -> frozenset[tuple[int, int, int]]:
        """The last run of ``materialize``."""
        record = self.registry.record(self.project, MATERIALIZED, DefinitionKey.of(view))
        if record is None:
            return frozenset()
        last = record.value
        return frozenset([(last.until, last.number, last.sequence)])

    def _covered(self, view: FeatureView, generation: StreamGeneration) -> int:
        """The time (µs) before which all that was appended to the log is archived."""
        now = self.clock.now()  # before the log is asked for its ends
        log = self._log(view, generation)
        ends = {} if log is None else {n: log.bounds(n) for n in range(log.partitions)}
        archive = archived(self.offline, view, generation.log)
        covered = now
        for number in {*ends, *archive}:
            progress = archive.get(number)
            begin, end = ends.get(number, (0, None))
            if end is None or (begin if progress is None else progress.next_offset) < end:
                covered = min(covered, MIN_TIME if progress is None else progress.known)
        return covered if ends or archive else MIN_TIME

    def _log(self, view: FeatureView, generation: StreamGeneration) -> EventLog | None:
        """The log that rows are folded from; None if it is gone, or does not answer."""
        try:
            log = self.logs.of(view.source)
            return log if log.identity == generation.log else None
        except NoskewError:
            return None

    def _remember(self, skew: ServiceSkew, report: SkewReport) -> None:
        now = self.clock.now()
        features = {n: SkewCounts(**feature.counts()) for n, feature in skew.features.items()}
        audit = SkewAudit(now, report.since, report.until, features)
        self.registry.put_record(self.project, Record(SKEW_AUDIT, skew.service, audit, now))


def _cannot(service: FeatureService, rows: Served, why: str, into: ServiceSkew) -> None:
    into.faults += [why] if why not in into.faults else []
    for column in service.columns:
        feature = into.features.setdefault(column.name, FeatureSkew())
        feature.undecided += len(rows)


def _count(service: FeatureService, judged: Judged, into: ServiceSkew) -> None:
    for column in service.columns:
        codes = judged.verdicts[column.name]
        feature = into.features.setdefault(column.name, FeatureSkew())
        for verdict, count in enumerate(np.bincount(codes, minlength=len(VERDICTS)).tolist()):
            setattr(feature, VERDICTS[verdict], getattr(feature, VERDICTS[verdict]) + count)
            feature.compared += count if verdict < UNDECIDED else 0
        for verdict in (DIFFERENT, BEHIND):
            room = _EXAMPLES - sum(e.verdict == VERDICTS[verdict] for e in feature.examples)
            for row in np.flatnonzero(codes == verdict)[:room].tolist():
                feature.examples.append(_example(service, judged, column, row))
        feature.examples.sort(key=lambda e: e.verdict == VERDICTS[BEHIND])


def _example(service: FeatureService, judged: Judged, column: ServiceColumn, row: int) -> Example:
    name, rows = column.name, judged.rows
    at = int(np.searchsorted(judged.at, row))
    version = None
    if column.is_stored:
        view = [v.name for v in service.views].index(column.origin.name)
        version = version_of_row(rows, view, row)
    return Example(
        verdict=VERDICTS[judged.verdicts[name][row]],
        keys={
            n: keys[row].as_py() for n, keys in zip(rows.keys.column_names, rows.keys, strict=True)
        },
        t=int(rows.t[row]),
        served=rows.feature(name)[row].as_py(),
        known=judged.known.columns[name][row].as_py(),
        folded=judged.folded.columns[name][at].as_py(),
        version=version,
        cause=skew_cause(service, judged, column, row),
    )
