"""Services compiled for the server: one registry version's, ready to be swapped in at once."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from noskew.answer_log.log import ServedLog, ServiceLog
from noskew.clock import Clock
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.project import Project
from noskew.definitions.service import FeatureService
from noskew.errors import DefinitionError, InputError, NoskewError, TransformError, shown, unknown
from noskew.kernel.rows.codec import pack_rows, version_bytes
from noskew.kernel.state import empty
from noskew.reading.reader import OnlineReader
from noskew.reading.view_answer import answer
from noskew.registry.versions import Applied
from noskew.serving.http.arrow_answer import ArrowAnswer
from noskew.serving.http.json_answer import JsonAnswer
from noskew.serving.http.json_rows import JsonRows
from noskew.serving.http.metrics import Meter, Metrics
from noskew.stores.online.base import OnlineStore
from noskew.types import DType

log = logging.getLogger("noskew.serving")
#: Sets of features that callers named themselves, kept compiled.
_MOST_AD_HOC = 256
#: Those of them whose answers are kept for the audit: each has a table of its own.
_MOST_KEPT = 16
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
        project: str,
        max_rows: int,
        meter: Meter,
    ) -> None:
        #: Where a sample of the answers is kept; None: nowhere.
        self.served: ServiceLog | None = None
        for function in service.on_demand:
            _import(function)
        self.service, self.meter = service, meter
        self.reader = OnlineReader(service, store, clock, project=project, max_rows=max_rows)
        self.plan = self.reader.plan
        self.is_remote = is_remote(store)
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
            made = answer(view, [row, None], [], 0, False)
            for name in view.view.features:
                made.statuses(name)
                made.items(name)


class Snapshot:
    """The services of one registry version, compiled."""

    def __init__(
        self,
        applied: Applied,
        store: OnlineStore,
        clock: Clock,
        *,
        project: str,
        max_rows: int,
        metrics: Metrics,
        served: ServedLog | None = None,
    ) -> None:
        self.version: int = applied.version
        self.definitions: Project = applied.project
        self.services: dict[str, CompiledService] = {}
        self.broken: dict[str, DefinitionError] = {}
        self._made_of = (store, clock, project, max_rows)
        self._metrics, self._served, self._kept_ad_hoc = metrics, served, 0
        self._documents: dict[str, bytes] = {}
        self._ad_hoc: OrderedDict[tuple[str, ...], CompiledService] = OrderedDict()
        for name, service in applied.project.services.items():
            try:
                made = self.services[name] = self._compile(service, "features")
                made.served = None if served is None else served.of(made.plan)
            except DefinitionError as error:
                # One service that cannot be served must not take the others with it.
                log.error("the service %s cannot be served: %s", name, error)
                self.broken[name] = error

    def warm(self) -> None:
        """Warm every service. Raises StoreUnavailableError if the store cannot be read."""
        for service in self.services.values():
            service.warm()

    def service(self, name: str) -> CompiledService:
        """The service of that name. Raises NotFoundError, or why it cannot be served."""
        found = self.services.get(name)
        if found is not None:
            return found
        if name in self.broken:
            raise self.broken[name]
        if len(name) > 128:  # longer than any name, and slow to compare with the others
            name = shown(name)
        raise unknown("feature service", name, self.services, where="the applied definitions")

    def ad_hoc(
        self, chosen: tuple[str, ...], make: Callable[[Project], FeatureService]
    ) -> CompiledService:
        """A service for features that a caller chose, made on first use."""
        found = self._ad_hoc.get(chosen)
        if found is None:
            found = self._compile(make(self.definitions), "get-online-features", label="")
            found.served = self._kept(found)
            self._ad_hoc[chosen] = found
            if len(self._ad_hoc) > _MOST_AD_HOC:
                self._ad_hoc.popitem(last=False)
        return found

    def _kept(self, made: CompiledService) -> ServiceLog | None:
        """Where answers of an ad-hoc service are kept: with those of the service it renames."""
        named = self.services.get(made.service.name)
        if named is not None and _columns(named) == _columns(made):
            return named.served
        if self._served is None or self._kept_ad_hoc == _MOST_KEPT:
            return None
        self._kept_ad_hoc += 1
        return self._served.of(made.plan)

    def document(self, name: str, make: Callable[[], bytes]) -> bytes:
        """An answer that depends on the definitions alone, made when first asked for."""
        if name not in self._documents:
            self._documents[name] = make()
        return self._documents[name]

    def _compile(
        self, service: FeatureService, route: str, *, label: str | None = None
    ) -> CompiledService:
        store, clock, project, max_rows = self._made_of
        meter = self._metrics.meter(route, service.name if label is None else label)
        return CompiledService(
            service, store, clock, project=project, max_rows=max_rows, meter=meter
        )


def _columns(made: CompiledService) -> list[tuple[str, str]]:
    """What the columns of a service are, whatever their names."""
    return [(c.origin.definition_hash, c.feature) for c in made.service.columns]


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


def is_remote(store: OnlineStore) -> bool:
    """Whether reading the store waits for another machine."""
    return type(store).read_async is not OnlineStore.read_async


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
