"""Recomputation: what served rows should have been, and what they could have been by then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.answer_log.table import ServedTable
from noskew.audit.entity_facts import FactsOfView
from noskew.audit.folded_facts import FoldedFacts
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.kernel import on_demand
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.values import whole
from noskew.registry.records.streaming import StreamGeneration
from noskew.stores.offline.base import EVENT_TIME, OfflineStore
from noskew.training.history import historical_features

_TIME = pa.timestamp("us", "UTC")
#: The column of times in what is asked of the past; no join key has this name.
_ASKED = "noskew asked at"

#: Values of features by view, and by feature.
Stored = dict[str, dict[str, pa.Array]]


@dataclass(frozen=True)
class AuditedView:
    """What is known of a view when an audit begins.

    ``generation``: that of its streamed rows; None if no stream keeps any. ``covered``: all
    that became known before this time (µs) is in the offline store; None: as soon as it is known.
    ``runs``: runs of ``materialize``; see :class:`noskew.audit.folded_facts.Runs`.
    """

    generation: StreamGeneration | None = None
    covered: int | None = None
    runs: frozenset[tuple[int, int, int]] = frozenset()


class Served:
    """Rows of one service that were served, as its table has them."""

    def __init__(
        self, table: ServedTable, rows: pa.Table, states: Mapping[str, AuditedView]
    ) -> None:
        self.table, self.rows = table, rows.combine_chunks()
        self.t: Index = whole(self.rows.column(EVENT_TIME)).view(pa.int64()).to_numpy()
        self.folded = [
            self._folded(view, names, states[view.name])
            for view, names in zip(table.service.views, table.views, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.t)

    def _folded(
        self, view: FeatureView, names: tuple[str, str, str], state: AuditedView
    ) -> FoldedFacts:
        version, _, coverage = (whole(self.rows.column(name)) for name in names)
        return FoldedFacts(version, coverage, view.has_partial_rows, state.generation, state.runs)

    def asked(self, view: int) -> Index:
        """When the rows of a view were asked: at ``t``, or at their known time if that is later."""
        return np.maximum(self.t, self.folded[view].known)

    @property
    def keys(self) -> pa.Table:
        """The join keys, by name."""
        return pa.table({n: whole(self.rows.column(c)) for n, c in self.table.keys.items()})

    @property
    def request(self) -> pa.Table:
        """The request fields, by name."""
        columns = {n: whole(self.rows.column(c)) for n, c in self.table.request.items()}
        return pa.table(columns or {"_": pa.nulls(len(self))})

    def feature(self, name: str) -> pa.Array:
        """The values that were served."""
        return whole(self.rows.column(self.table.features[name]))

    def take(self, at: Index, states: Mapping[str, AuditedView]) -> Served:
        """Some of the rows."""
        return Served(self.table, self.rows.take(pa.array(at)), states)


@dataclass
class RecomputedAnswers:
    """The features of a service, computed again, for some rows.

    ``columns``: by name. ``unclear``: rows of which it cannot be said what they should be, by
    view; on-demand features of them are not clear either.
    """

    columns: dict[str, pa.Array]
    unclear: dict[str, Mask] = field(default_factory=dict)


@dataclass(frozen=True)
class Recomputation:
    """Computes the features of a service again, from the facts in the offline store."""

    service: FeatureService
    offline: OfflineStore

    def known(self, rows: Served) -> RecomputedAnswers:
        """From the facts known by when each row was asked, as a training set is computed."""
        stored: Stored = {}
        for i, view in enumerate(self.service.views):
            names = self._needed(view)
            alone = FeatureService("audit", [view[tuple(names)]], full_names=True)
            asked = rows.keys.select(list(view.entity.keys)).append_column(
                _ASKED, pa.array(rows.asked(i)).view(_TIME)
            )
            training = historical_features(
                alone, asked, self.offline, event_time=_ASKED, known_at="row"
            )
            stored[view.name] = {n: whole(training.column(f"{view.name}__{n}")) for n in names}
        return RecomputedAnswers(self._columns(stored, rows))

    def folded(self, rows: Served) -> tuple[RecomputedAnswers, RecomputedAnswers]:
        """From the facts that each row had folded: as the store said, and as its own version says.

        Where the row is as new as the store said, both are the same.
        """
        stored: tuple[Stored, Stored] = ({}, {})
        unclear: dict[str, Mask] = {}
        for i, view in enumerate(self.service.views):
            covered, own, unclear[view.name] = self._of_view(rows, i, view)
            stored[0][view.name], stored[1][view.name] = covered, own
        columns = [self._columns(s, rows) for s in stored]
        return RecomputedAnswers(columns[0], unclear), RecomputedAnswers(columns[1], unclear)

    def _of_view(
        self, rows: Served, i: int, view: FeatureView
    ) -> tuple[dict[str, pa.Array], dict[str, pa.Array], Mask]:
        names = self._needed(view)
        facts = FactsOfView(view, frozenset(names), self.offline)
        keys, t = rows.keys.select(list(view.entity.keys)), rows.asked(i)
        covered = {n: pa.nulls(len(rows), view.features[n].dtype.to_arrow()) for n in names}
        own, unclear = dict(covered), np.ones(len(rows), bool)
        for group in rows.folded[i].groups():
            folded = facts.values(keys, t, group.folded, group.most)
            covered = _put(covered, folded.values, group.rows)
            own = _put(own, folded.values, group.rows)
            unclear[group.rows] = folded.unclear[group.rows]
            if group.own is not None and group.own_rows is not None and len(group.own_rows):
                older = facts.values(keys, t, group.own)
                own = _put(own, older.values, group.own_rows)
        return covered, own, unclear

    def _needed(self, view: FeatureView) -> list[str]:
        """The features of a view that the service gives, or makes others of."""
        inputs = (s for f in self.service.on_demand for s in f.inputs)
        chosen = [s for s in (*self.service.selections, *inputs) if s.view.name == view.name]
        return list(dict.fromkeys(n for s in chosen for n in s.names))

    def _columns(self, stored: Stored, rows: Served) -> dict[str, pa.Array]:
        computed = on_demand.compute(self.service, stored, rows.request)
        columns = {}
        for c in self.service.columns:
            values = stored if c.is_stored else computed
            columns[c.name] = values[c.origin.name][c.feature]
        return columns


def column_views(service: FeatureService, column: str) -> Sequence[str]:
    """The names of the views that a column is made of."""
    return next(c.views for c in service.columns if c.name == column)


def _put(
    columns: Mapping[str, pa.Array], values: Mapping[str, pa.Array], rows: Index
) -> dict[str, pa.Array]:
    """Columns with ``values`` at some rows."""
    n = len(next(iter(columns.values()))) if columns else 0
    at = np.arange(n)
    at[rows] += n
    place: NDArray[np.int64] = at
    return {
        name: pa.concat_arrays([column, values[name]]).take(pa.array(place))
        for name, column in columns.items()
    }


def any_of(masks: Iterable[Mask], n: int) -> Mask:
    """Where any of the masks is true."""
    out = np.zeros(n, bool)
    for mask in masks:
        out |= mask
    return out
