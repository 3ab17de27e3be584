"""Answers of a store in this process, kept as a server keeps them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import noskew as ns
from noskew.answer_log.log import ServedLog
from noskew.project_stores.factories import open_offline
from noskew.reading.reader import OnlineReader
from noskew.reading.response import OnlineResponse

Serve = Callable[..., OnlineResponse]


@dataclass
class Counted:
    """What a log has told."""

    rows: Counter[str] = field(default_factory=Counter)
    errors: list[Exception] = field(default_factory=list)

    def audited(self, service: str, **rows: int) -> None:
        self.rows.update(rows)

    def audit_failed(self, error: Exception) -> None:
        self.errors.append(error)


def served_log(store: ns.FeatureStore, counted: Counted, **options: Any) -> ServedLog:
    """The log of a server of the store's project."""
    chosen: dict[str, Any] = {
        "share": 1.0,
        "open_offline": lambda: open_offline(store.config.offline, store.root, store.tenant),
        "registry": lambda: store.registry,
        "online": lambda: store.online,
    } | options
    share = chosen.pop("share")
    return ServedLog(store.config.project, share, store.clock, counted, **chosen)


@contextmanager
def keeping(store: ns.FeatureStore, **options: Any) -> Iterator[Serve]:
    """A function that answers from the online store; all answers are kept when it ends.

    It looks at what the store says it holds before each answer, unless it is told ``look=False``.
    """
    counted = Counted()
    log = served_log(store, counted, **options)

    def serve(service: str, rows: Any, *, look: bool = True) -> OnlineResponse:
        definition = store.applied.project.service(service)
        reader = OnlineReader(definition, store.online, store.clock, tenant=store.tenant)
        kept = log.of(reader.plan)
        if look:
            log.look()
        start = perf_counter()
        answer = reader.get(rows)
        answer.to_dict()
        kept.add(answer, start)
        return answer

    yield serve
    log.start()
    log.close()
    assert not counted.errors
    assert counted.rows["logged"] == counted.rows["sampled"]


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same to the last bit, any NaN being any other."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return type(a) is type(b) and a == b
