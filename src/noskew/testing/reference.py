"""The naive reference: what SPEC.md says, in loops and dicts. It judges every other path.

No code is shared with the kernel, and nothing here is fast. Where SPEC leaves a detail open,
this page decides:

Facts. ``known_at`` admits facts first (SPEC §5): those known by then and not taken back by then; a
fact that was taken back when it became known, or before, never counts. Then, if the source has an
``event_id``, the admitted facts of one key with the same id are judged in the order of (known_time,
sequence): the first counts; each that follows is a duplicate if it was known at most
``event_id_horizon`` after the last one that counted, and else counts itself. A null id is never a
duplicate; ids are equal as values are in ``count_distinct``. A duplicate counts for nothing at all:
no latest value, no aggregate, no cap, and no later fact is compared with it.

Keys. A null in any part matches nothing, in facts and in rows: every feature of such a row is
null, counts and lists too, with the status MISSING.

Latest. The row is the greatest by (event_time, known_time, sequence) with event_time ≤ t. If it
is older than the feature's own ``max_age`` the value is null, with the status EXPIRED; whether
its value was null makes no difference then. A row exactly ``max_age`` old still counts.

Windows. ``W`` at ``t`` with hop ``h`` holds the events in (⌊(t−W)/h⌋·h, t]; without a window all
events up to ``t``. An exact window has a hop of 1 µs. If it holds more facts than the view's
``exact_cap``, whatever their ``where`` and nulls, the value is null, flagged OVER_CAP; that
holds for every aggregate, counts and lists too.

Filters. Rows whose ``where`` column is anything but true (false, null) do not count.

Event time. An answer's event time is the greatest event_time ≤ t among the entity's counted
facts, whatever their values and however far back: a window may hold none of them. None where
there is no such fact, and for a null key.

Never seen. An entity without an admitted fact (of any event time) gives the aggregates' values
of no rows and null latest values, all MISSING. Online at ``t`` that is: no fact of the key with
known_time ≤ t. A seen entity without a row in reach gives the same values; their status is
NULL where the value is null and PRESENT where it is not.

What the aggregates do with values stands in :mod:`noskew.testing.reference_aggregates`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from noskew.clock import to_datetime
from noskew.definitions.aggregation import Aggregation, Latest
from noskew.definitions.view import Feature, FeatureView
from noskew.definitions.windows import EXACT_HOP
from noskew.errors import InputError
from noskew.testing.reference_aggregates import Flag, aggregate, canonical_bytes

Key = tuple[Any, ...]
#: A row that asks for features: the key's parts (None, or a None among them, is null) and t.
Row = tuple[Key | None, int]
ReferenceKnownAt = int | Literal["row"] | None


@dataclass(frozen=True)
class Fact:
    """One event after the transform.

    ``values``: transformed columns, in the Python types of Arrow's ``to_pylist`` (aware
    datetimes, Decimal, a float for a float32), None for null. Columns that are left out are
    null, except for the keys and the source's clocks, which follow from the other fields.
    Times are microseconds. ``sequence`` tells facts of equal times apart. From ``retracted_time``
    on, a known time, the fact does not count; None: it was never taken back.
    """

    key: Key
    event_time: int
    known_time: int
    sequence: int
    values: Mapping[str, Any]
    retracted_time: int | None = None


class Status(StrEnum):
    """SPEC §7, as far as facts alone decide it."""

    PRESENT = "PRESENT"
    NULL = "NULL"
    MISSING = "MISSING"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True)
class Outcome:
    """The value of one feature, its status, and why it is null although there are values."""

    value: Any
    status: Status
    flag: Flag | None = None


def naive_historical(
    view: FeatureView,
    facts: Sequence[Fact],
    rows: Sequence[Row],
    known_at: ReferenceKnownAt = None,
) -> list[dict[str, Any]]:
    """The features of each row by name, in the order of the rows.

    Parameters
    ----------
    facts
        In any order. Facts of a key must differ in (known_time, sequence).
    known_at
        None: all facts that were not taken back. ``"row"``: those known by the row's t. An int:
        those known by it.

    Raises InputError where the question has no one answer: facts that cannot be told apart,
    columns that the view does not have, keys of the wrong length, another ``known_at``.
    """
    return [_values(outcomes) for outcomes in explain(view, facts, rows, known_at)]


def online(view: FeatureView, facts: Sequence[Fact], key: Key | None, t: int) -> dict[str, Any]:
    """What the online store gives at ``t``: the historical answer with ``known_at=t`` (SPEC §7)."""
    return naive_historical(view, facts, [(key, t)], known_at=t)[0]


def statuses(
    view: FeatureView, facts: Sequence[Fact], key: Key | None, t: int
) -> dict[str, Status]:
    """The status of each feature online at ``t``."""
    outcomes = explain(view, facts, [(key, t)], known_at=t)[0]
    return {name: outcome.status for name, outcome in outcomes.items()}


def event_time(view: FeatureView, facts: Sequence[Fact], key: Key | None, t: int) -> int | None:
    """The event time of the online answer at ``t``: that of the newest event behind it."""
    _check(view, facts, [(key, t)], t)
    if key is None or any(part is None for part in key):
        return None
    admitted = [f for f in facts if f.key == key and _is_known(f, t, t)]
    times = [f.event_time for f in _without_duplicates(view, admitted) if f.event_time <= t]
    return max(times) if times else None


def explain(
    view: FeatureView,
    facts: Sequence[Fact],
    rows: Sequence[Row],
    known_at: ReferenceKnownAt = None,
) -> list[dict[str, Outcome]]:
    """As :func:`naive_historical`, with each value's status and flag."""
    _check(view, facts, rows, known_at)
    answers = []
    for key, t in rows:
        if key is None or any(part is None for part in key):
            answers.append(dict.fromkeys(view.features, Outcome(None, Status.MISSING)))
            continue
        admitted = [f for f in facts if f.key == key and _is_known(f, t, known_at)]
        counted = _without_duplicates(view, admitted)
        past = sorted((f for f in counted if f.event_time <= t), key=_time_order)
        answers.append(
            {
                name: _outcome(view, feature, past, t, seen=bool(admitted))
                for name, feature in view.features.items()
            }
        )
    return answers


def naive_window_start(t: int, window: int, hop: int) -> int:
    """The open end of the window at ``t``; the closed one is ``t`` itself."""
    return (t - window) // hop * hop


def _outcome(
    view: FeatureView, feature: Feature, past: list[Fact], t: int, *, seen: bool
) -> Outcome:
    """One feature, from the counted facts up to ``t`` in time order."""
    flag = None
    if isinstance(feature.spec, Latest):
        newest = past[-1] if past else None
        if newest and feature.max_age is not None and newest.event_time < t - feature.max_age:
            return Outcome(None, Status.EXPIRED)
        value = _column(view, newest, feature.spec.column) if newest else None
    else:
        value = _aggregated(view, feature, feature.spec, past, t)
        if isinstance(value, Flag):
            value, flag = None, value
    if not seen:
        return Outcome(value, Status.MISSING)
    return Outcome(value, Status.NULL if value is None else Status.PRESENT, flag)


def _aggregated(
    view: FeatureView, feature: Feature, spec: Aggregation, past: list[Fact], t: int
) -> Any:
    within = past
    if feature.window is not None:
        start = naive_window_start(t, feature.window, feature.hop)
        within = [f for f in past if start < f.event_time]
        if feature.hop == EXACT_HOP and len(within) > view.exact_cap:
            return Flag.OVER_CAP
    if spec.where is not None:
        within = [f for f in within if _column(view, f, spec.where) is True]
    if spec.column is None:
        return aggregate(spec, None, [None for _ in within])
    values = [_column(view, f, spec.column) for f in within]
    return aggregate(spec, view.columns[spec.column], values)


def _is_known(fact: Fact, t: int, known_at: ReferenceKnownAt) -> bool:
    if known_at is None:
        return fact.retracted_time is None
    by = t if known_at == "row" else known_at
    return fact.known_time <= by and (fact.retracted_time is None or by < fact.retracted_time)


def _without_duplicates(view: FeatureView, facts: list[Fact]) -> list[Fact]:
    """Of the facts (of one key) that share an event id, keep those beyond the horizon."""
    column = view.source.event_id
    if column is None:
        return facts
    kind = view.columns.get(column, view.source.schema[column])
    counted_at: dict[bytes, int] = {}
    kept = []
    for fact in sorted(facts, key=lambda f: (f.known_time, f.sequence)):
        event_id = _column(view, fact, column)
        if event_id is not None:
            same = canonical_bytes(event_id, kind)
            before = counted_at.get(same)
            if before is not None and fact.known_time - before <= view.source.event_id_horizon:
                continue
            counted_at[same] = fact.known_time
        kept.append(fact)
    return kept


def _time_order(fact: Fact) -> tuple[int, int, int]:
    return (fact.event_time, fact.known_time, fact.sequence)


def _column(view: FeatureView, fact: Fact, column: str) -> Any:
    """A column of a fact; keys and clocks that ``values`` leaves out follow from the fact."""
    if column in fact.values:
        return fact.values[column]
    if column in view.entity.keys:
        return fact.key[list(view.entity.keys).index(column)]
    if column == view.source.event_time:
        return to_datetime(fact.event_time)
    if column == view.source.created:
        return to_datetime(fact.known_time)
    return None


def _values(outcomes: dict[str, Outcome]) -> dict[str, Any]:
    return {name: outcome.value for name, outcome in outcomes.items()}


def _check(
    view: FeatureView, facts: Sequence[Fact], rows: Sequence[Row], known_at: ReferenceKnownAt
) -> None:
    if isinstance(known_at, bool) or not (known_at in (None, "row") or isinstance(known_at, int)):
        raise InputError(f"known_at is None, 'row' or microseconds as an int, got {known_at!r}")
    for key in [fact.key for fact in facts] + [key for key, _ in rows if key is not None]:
        if len(key) != len(view.entity.keys):
            raise InputError(f"a key has the parts {', '.join(view.entity.keys)}, got {key!r}")
    columns = set(view.columns) | {view.source.event_id}
    seen = set()
    for fact in facts:
        if foreign := sorted(set(fact.values) - columns):
            raise InputError(f"view {view.name!r} has no column {foreign[0]!r}: {fact}")
        identity = (fact.key, fact.known_time, fact.sequence)
        if identity in seen:
            raise InputError(
                f"two facts share key, known_time and sequence, so that neither is the newer; "
                f"give them different sequences: {fact}"
            )
        seen.add(identity)
