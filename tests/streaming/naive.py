"""What the answers of the shop must be, from the messages of its log alone, one event at a time.

Nothing of noskew computes here: exact fractions, sorted lists and loops, by the specification.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import pyarrow as pa

import noskew as ns
from tests.streaming import shop

S = 1_000_000
_MINUTE, _HOUR = 60 * S, 3_600 * S
_LATENESS = 30 * S


class Event(NamedTuple):
    """In the order in which events of one time count."""

    at: int
    known: int
    place: tuple[int, int]
    amount: float | None


def answers(store: ns.FeatureStore, t: int) -> dict[int, dict[str, Any]]:
    """For each user the values at ``t``, by the names of features."""
    spent: dict[int, list[Event]] = defaultdict(list)
    newest: dict[int, list[Event]] = defaultdict(list)
    for partition in range(2):
        seen, seen_in_time = set(), set()
        greatest = -(1 << 62)
        for user, name, event in _events(store, partition):
            greatest = max(greatest, event.at)
            if (user, name) not in seen:
                seen.add((user, name))
                spent[user].append(event)
            if (user, name) not in seen_in_time and event.at >= greatest - _LATENESS:
                seen_in_time.add((user, name))
                newest[user].append(event)
    users = range(shop.USERS)
    return {user: {**_spent(spent[user], t), **_newest(newest[user], t)} for user in users}


def _events(store: ns.FeatureStore, partition: int) -> Iterator[tuple[int, int, Event]]:
    """User, id and event of each row that is one, in the order of the log."""
    log = store.logs.of(store.applied.project.source("orders"))
    known = -(1 << 62)
    with log.reader({partition: 0}) as reader:
        while portion := reader.poll(0):
            for messages in portion:
                times = messages.append_times.tolist()
                for offset, time, payload in zip(
                    messages.offsets.tolist(), times, messages.payloads.to_pylist(), strict=True
                ):
                    known = max(known, time)
                    table = pa.ipc.open_stream(payload).read_all()
                    at = table.column("at").cast(pa.int64()).to_pylist()
                    columns = (table.column(c).to_pylist() for c in ("user", "id", "amount"))
                    for row, (user, name, amount) in enumerate(zip(*columns, strict=True)):
                        if user is not None:
                            yield user, name, Event(at[row], known, (offset, row), amount)


def _spent(events: list[Event], t: int) -> dict[str, Any]:
    hour = _window(events, t, _HOUR, _MINUTE)
    sums = [Fraction(e.amount) for e in hour if e.amount is not None]
    every = [Fraction(e.amount) for e in events if e.at <= t and e.amount is not None]
    recent = [e for e in _window(events, t, 10 * _MINUTE, 15 * S) if e.amount is not None]
    return {
        "count_1min": len(_window(events, t, _MINUTE, S)),
        "count_1h": len(hour),
        "amount_sum_1h": float(sum(sums)) if sums else None,
        "amount_mean": float(sum(every) / len(every)) if every else None,
        "amount_last_10min": max(recent).amount if recent else None,
    }


def _newest(events: list[Event], t: int) -> dict[str, Any]:
    fresh = [e for e in events if t - _HOUR <= e.at <= t]
    return {"amount": max(fresh).amount if fresh else None}


def _window(events: list[Event], t: int, size: int, hop: int) -> list[Event]:
    """SPEC: the events in (⌊(t − W)/h⌋ · h, t]."""
    start = (t - size) // hop * hop
    return [e for e in events if start < e.at <= t]


def check_answers(store: ns.FeatureStore) -> int:
    """Compare every user's answer with :func:`answers`, now; how many values were compared."""
    t = store.clock.now()
    wanted = answers(store, t)
    users = sorted(wanted)
    found = store.get_online_features("svc", {"user": users}).to_dict()
    compared = 0
    for name in wanted[users[0]]:
        for user, value in zip(users, found[name], strict=True):
            # An entity without events is unknown: its counts are the type's "no rows", too.
            assert value == wanted[user][name], (user, name, value, wanted[user][name])
            compared += value is not None
    assert compared > shop.USERS
    return compared
