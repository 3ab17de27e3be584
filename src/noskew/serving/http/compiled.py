"""A service compiled for the server: everything that does not depend on the request."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from noskew.addresses import Tenant
from noskew.answer_log.log import ServiceLog
from noskew.clock import Clock
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.service import FeatureService
from noskew.errors import DefinitionError, InputError, NoskewError, TransformError
from noskew.kernel.rows.codec import pack_rows, version_bytes
from noskew.kernel.state import empty
from noskew.reading.reader import OnlineReader
from noskew.reading.view_answer import answer
from noskew.serving.http.arrow_answer import ArrowAnswer
from noskew.serving.http.json_answer import JsonAnswer
from noskew.serving.http.json_rows import JsonRows
from noskew.serving.http.metrics import Meter
from noskew.stores.online.base import OnlineStore
from noskew.types import DType

log = logging.getLogger("noskew.serving")
#: Enough rows that what is compiled for many rows gets compiled too.
_WARM_ROWS = 17


class CompiledService:
    """Everything about answering one service that does not depend on the request."""

    def __init__(
        self,
        service: FeatureService,
        store: OnlineStore,
        clock: Clock,
        *,
        tenant: Tenant,
        max_rows: int,
        meter: Meter,
    ) -> None:
        #: Where a sample of the answers is kept; None: nowhere.
        self.served: ServiceLog | None = None
        for function in service.on_demand:
            _import(function)
        self.service, self.meter = service, meter
        self.reader = OnlineReader(service, store, clock, tenant=tenant, max_rows=max_rows)
        self.plan = self.reader.plan
        self.is_remote = store.is_remote
        self.json_rows = JsonRows(self.plan)
        self.json = JsonAnswer(self.plan)
        self.arrow = ArrowAnswer(self.plan)

    def warm(self) -> None:
        """Read once from the store, and run what is compiled on first use, on rows made up.

        Raises StoreUnavailableError if the store cannot be read.
        """
        for n in (1, _WARM_ROWS):
            kinds = {**self.plan.keys, **self.plan.request_fields}
            try:
                response = self.reader.get({name: [_sample(k)] * n for name, k in kinds.items()})
                self.json.encode(response, full=True)
                self.arrow.encode(response)
            except (TransformError, InputError) as error:
                # A function may fail on the values made up here and be right on real ones.
                log.warning("service %s, while warming up: %s", self.service.name, error)
        for view in self.plan.views:
            row = pack_rows(view.layout, empty(view.plan, 1), version_bytes(0, 0)).to_list()[0]
            answers = answer(view, [row, None], [], 0, False)
            for name in view.view.features:
                answers.statuses(name)
                answers.items(name)


def _import(function: OnDemand) -> None:
    """Import a function now, so that one that is gone or was changed shows before it is asked.

    Raises DefinitionError.
    """
    if function.module is None:
        return
    try:
        _ = function.call
    except NoskewError:
        raise
    except Exception as error:  # the module is the user's: its import can raise anything
        raise DefinitionError(
            f"on-demand {function.name!r}: {function.title} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error


_SAMPLES: Mapping[str, Any] = {
    "bool": False,
    "float32": 0.0,
    "float64": 0.0,
    "string": "",
    "bytes": b"",
    "timestamp": datetime(2000, 1, 1, tzinfo=UTC),
    "date": date(2000, 1, 1),
    "decimal": Decimal(0),
}


def _sample(kind: DType) -> Any:
    if kind.item is not None:
        return [_sample(kind.item)] * kind.size
    return _SAMPLES.get(kind.kind, 0)
