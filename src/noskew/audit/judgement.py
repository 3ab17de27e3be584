"""Judgement: is a served value what it should have been, what it could be by then, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.audit.recomputation import (
    AuditedView,
    Recomputation,
    RecomputedAnswers,
    Served,
    any_of,
    column_views,
)
from noskew.definitions.service import FeatureService
from noskew.kernel.arrays import Index, Mask
from noskew.kernel.bits import differing

#: In the order of :data:`VERDICTS`.
EQUAL, BEHIND, DIFFERENT, UNDECIDED, WAITING = range(5)
VERDICTS = ("equal", "behind", "different", "undecided", "waiting")
VerdictCodes = NDArray[np.uint8]


@dataclass(frozen=True)
class Judged:
    """The verdict on every served value.

    Attributes
    ----------
    rows
        The rows that were judged.
    verdicts
        For each feature one of the codes, uint8, shape (rows,).
    known
        Each feature from the facts known by the time of the row.
    at
        The rows that were looked at more closely, int64; ``folded`` and ``own`` are of them, each
        feature from the facts that had been folded, by all that is claimed and by the version of
        the row alone.
    """

    rows: Served
    verdicts: dict[str, VerdictCodes]
    known: RecomputedAnswers
    at: Index
    folded: RecomputedAnswers
    own: RecomputedAnswers


def judge(
    service: FeatureService,
    rows: Served,
    states: Mapping[str, AuditedView],
    recomputation: Recomputation,
) -> Judged:
    """Compare served rows, bit for bit, with what they should have been.

    A value is *equal* if the facts known by its time give it. Else it is *behind* if the facts
    that had been folded give it, and *different* if they do not. It is *waiting* while facts of
    its time may be missing in the offline store, and *undecided* where it was not kept what had
    been folded.
    """
    names = [c.name for c in service.columns]
    waiting = {v.name: _waiting(rows, i, states[v.name]) for i, v in enumerate(service.views)}
    known = recomputation.known(rows)
    unequal = {n: differing(rows.feature(n), known.columns[n]) for n in names}
    at = np.flatnonzero(any_of(unequal.values(), len(rows)))
    folded, own = _empty(known), _empty(known)
    if len(at):
        folded, own = recomputation.folded(rows.take(at, states))
    verdicts = {}
    for name in names:
        codes = np.full(len(rows), EQUAL, np.uint8)
        codes[at] = _closer(service, name, rows.feature(name).take(pa.array(at)), folded, own)
        codes[~unequal[name]] = EQUAL
        waits = any_of((waiting[v] for v in column_views(service, name)), len(rows))
        codes[waits] = WAITING
        verdicts[name] = codes
    return Judged(rows, verdicts, known, at, folded, own)


def _closer(
    service: FeatureService,
    name: str,
    served: pa.Array,
    folded: RecomputedAnswers,
    own: RecomputedAnswers,
) -> VerdictCodes:
    """Verdicts on values that are not equal."""
    if not len(served):
        return np.zeros(0, np.uint8)
    wrong = differing(served, folded.columns[name]) & differing(served, own.columns[name])
    codes = np.where(wrong, DIFFERENT, BEHIND).astype(np.uint8)
    unclear = (folded.unclear[v] for v in column_views(service, name))
    codes[any_of(unclear, len(served))] = UNDECIDED
    return codes


def _waiting(rows: Served, view: int, state: AuditedView) -> Mask:
    if state.covered is None:
        return np.zeros(len(rows), bool)
    return rows.asked(view) >= state.covered


def _empty(like: RecomputedAnswers) -> RecomputedAnswers:
    return RecomputedAnswers({n: c.slice(0, 0) for n, c in like.columns.items()})
