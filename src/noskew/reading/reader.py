"""Reading features online, in this process: keys to rows in one round trip, rows to values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from noskew.addresses import Tenant
from noskew.clock import Clock
from noskew.definitions.service import FeatureService
from noskew.kernel.rows.codec import version_of
from noskew.reading.masked_answer import MaskedAnswer
from noskew.reading.merged_rows import row_reader
from noskew.reading.request_plan import RequestPlan
from noskew.reading.response import OnlineResponse
from noskew.reading.view_answer import ViewAnswer, answer
from noskew.stores.online.base import OnlineStore


class OnlineReader:
    """Answers reads of one service from an online store. Safe to share by threads.

    The service is compiled once; a read touches neither registry nor definitions.
    """

    def __init__(
        self,
        service: FeatureService,
        store: OnlineStore,
        clock: Clock,
        *,
        tenant: Tenant,
        max_rows: int = 100_000,
    ) -> None:
        self.plan = RequestPlan(service, tenant, max_rows=max_rows)
        self._rows, self._clock = row_reader(store, self.plan.views), clock
        self._masking: dict[frozenset[str], OnlineReader] = {}

    def masking(self, names: frozenset[str]) -> OnlineReader:
        """What reads the same without giving the features of these names: null, MASKED.

        It is made once for each set of names; encoders see no difference but the values. Raises
        NotFoundError for names that the service does not have.
        """
        if not names:
            return self
        reader = self._masking.get(names)
        if reader is None:
            reader = copy(self)
            reader.plan = self.plan.masking(names)
            self._masking[names] = reader
        return reader

    def get(self, rows: Any) -> OnlineResponse:
        """The features of each row, as of now.

        ``rows``: columns such as ``{"origin": ["JFK", "EWR"]}``, a list of mappings, or a
        frame, holding the service's join keys and request fields. Raises InputError or a child
        of it for names, types and sizes that do not fit, StoreUnavailableError when the store
        is down, CorruptDataError for damaged rows.
        """
        key = self.plan.lone_key(rows)
        if key is not None:
            return self._one(rows, [key], self._rows.read([key]))
        columns, n = self.plan.columns_of(rows)
        keys = self.plan.store_keys(columns)
        if None in keys:
            return self._answer(columns, n, keys, _spread(keys, self._rows.read(_there(keys))))
        return self._answer(columns, n, keys, self._rows.read(keys))  # type: ignore[arg-type]

    async def get_async(self, rows: Any) -> OnlineResponse:
        """As :meth:`get`, without blocking the event loop while a remote store answers."""
        key = self.plan.lone_key(rows)
        if key is not None:
            return self._one(rows, [key], await self._rows.read_async([key]))
        columns, n = self.plan.columns_of(rows)
        keys = self.plan.store_keys(columns)
        keyed = await self._rows.read_async(_there(keys))
        return self._answer(columns, n, keys, _spread(keys, keyed))

    def _one(
        self,
        columns: Mapping[str, Sequence[Any]],
        keys: Sequence[bytes],
        rows: Sequence[bytes | None],
    ) -> OnlineResponse:
        """As :meth:`_answer`, for the row of a lone key."""
        t = self._clock.now()
        (view,) = self.plan.views
        answers: dict[str, ViewAnswer] = {view.view.name: answer(view, rows, (), t, False)}
        return self._response(columns, 1, answers, t, keys)

    def _answer(
        self,
        columns: Mapping[str, Sequence[Any]],
        n: int,
        keys: Sequence[bytes | None],
        rows: Sequence[bytes | None],
    ) -> OnlineResponse:
        t = self._clock.now()
        beat = n * len(self.plan.views)
        answers: dict[str, ViewAnswer] = {}
        for i, view in enumerate(self.plan.views):
            start, end = i * n, (i + 1) * n
            stale = False
            if view.heartbeat is not None:
                stale = _behind(rows[beat], t, view.view.freshness or 0)
                beat += 1
            mine = rows if len(rows) == n else rows[start:end]
            unkeyed: list[int] = []
            if None in keys:
                unkeyed = [k - start for k in range(start, end) if keys[k] is None]
            answers[view.view.name] = answer(view, mine, unkeyed, t, stale)
        return self._response(columns, n, answers, t, keys)

    def _response(
        self,
        columns: Mapping[str, Sequence[Any]],
        n: int,
        answers: dict[str, ViewAnswer],
        t: int,
        keys: Sequence[bytes | None],
    ) -> OnlineResponse:
        plan = self.plan
        for name, masked in plan.masked.items():
            if name in answers:
                answers[name] = MaskedAnswer(answers[name], masked)
        return OnlineResponse(plan, columns, n, answers, t, keys=keys)


def _there(keys: Sequence[bytes | None]) -> list[bytes]:
    return [k for k in keys if k is not None]


def _spread(keys: Sequence[bytes | None], rows: Sequence[bytes | None]) -> list[bytes | None]:
    """Rows back at the places of their keys; None at null keys."""
    if len(rows) == len(keys):
        return list(rows)
    keyed = iter(rows)
    return [None if k is None else next(keyed) for k in keys]


def _behind(row: bytes | None, t: int, freshness: int) -> bool:
    """Whether a view's heartbeat is older than its freshness bound."""
    return row is None or version_of(row)[0] < t - freshness
