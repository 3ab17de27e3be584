"""Snapshots: the services of one registry version, compiled when they are first asked for."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from threading import RLock
from time import monotonic

from noskew.addresses import Tenant
from noskew.answer_log.log import ServedLog, ServiceLog
from noskew.clock import Clock
from noskew.definitions.project import Project
from noskew.definitions.service import FeatureService
from noskew.errors import DefinitionError, shown, unknown
from noskew.registry.versions import Applied
from noskew.serving.http.compiled import CompiledService
from noskew.serving.http.metrics import Metrics
from noskew.stores.online.base import OnlineStore

log = logging.getLogger("noskew.serving")
#: Sets of features that callers named themselves, kept compiled.
_MOST_AD_HOC = 256
#: Those of them whose answers are kept for the audit: each has a table of its own.
_MOST_KEPT = 16


class Snapshot:
    """The services of one registry version.

    A service is compiled when it is first asked for: a thousand of them take minutes, and a
    server is asked for some. What was compiled for the version before is taken over where nothing
    that it is made of has changed.
    """

    def __init__(
        self,
        applied: Applied,
        store: OnlineStore,
        clock: Clock,
        *,
        tenant: Tenant,
        max_rows: int,
        metrics: Metrics,
        served: ServedLog | None = None,
        before: Snapshot | None = None,
    ) -> None:
        self.version: int = applied.version
        self.definitions: Project = applied.project
        #: The definition hash of each service, as it was applied.
        self.hashes = applied.hashes.get("feature_service", {})
        self.broken: dict[str, DefinitionError] = {}
        self._made_of = (store, clock, tenant, max_rows)
        self._metrics, self._served, self._kept_ad_hoc = metrics, served, 0
        self._documents: dict[str, bytes] = {}
        self._ad_hoc: OrderedDict[tuple[str, ...], CompiledService] = OrderedDict()
        self._compiled: dict[str, CompiledService] = {}
        self._compiling = RLock()
        self._before = before if before is not None and before._made_of == self._made_of else None

    @property
    def services(self) -> Mapping[str, CompiledService]:
        """The services by name, but for those known to be broken; compiled on use."""
        # Made anew: kept here, it would be a circle, and what is frozen is never collected.
        return _Services(self)

    def prepare(self, budget_s: float) -> None:
        """Compile and warm services, but begin none after ``budget_s``.

        After a snapshot before this one: what was compiled there, those asked most first. Else
        all, so that a project of few services is ready whole before its first request. Raises
        StoreUnavailableError if the store cannot be read.
        """
        before, names = self._before, sorted(self.definitions.services)
        if before is not None:
            names = [name for name in before.by_use() if name in self.definitions.services]
            for name in names:
                self._take_over(name, before)
            self._before = None
        end = monotonic() + budget_s
        for name in names:
            if monotonic() > end:
                break
            self._prepare(name)

    def by_use(self) -> list[str]:
        """The names of the services that are compiled, those asked most first."""
        return sorted(self._compiled, key=lambda name: -self._compiled[name].meter.total)

    def ready(self, name: str) -> CompiledService | None:
        """The service of that name if it is compiled, else None; for the path of requests."""
        return self._compiled.get(name)

    def service(self, name: str) -> CompiledService:
        """The service of that name. Raises NotFoundError, or why it cannot be served.

        It is compiled here if nobody asked for it before, which takes some hundredths of a second.
        """
        compiled = self._compiled.get(name)
        if compiled is not None:
            return compiled
        self._check(name)
        self._prepare(name)
        if name in self.broken:
            raise self.broken[name]
        if self._served is not None:
            self._served.look()  # before the first answer from what was compiled now
        return self._compiled[name]

    def definition(self, name: str) -> FeatureService:
        """The definition of a service. Raises NotFoundError, or why it cannot be served."""
        self._check(name)
        if name in self.broken:
            raise self.broken[name]
        return self.definitions.services[name]

    def _check(self, name: str) -> None:
        if name not in self.definitions.services:
            if len(name) > 128:  # longer than any name, and slow to compare with the others
                name = shown(name)
            raise unknown("feature service", name, self.services, where="the applied definitions")

    async def service_async(self, name: str) -> CompiledService:
        """As :meth:`service`, without blocking the event loop while it is compiled."""
        compiled = self._compiled.get(name)
        return await asyncio.to_thread(self.service, name) if compiled is None else compiled

    def ad_hoc(
        self, chosen: tuple[str, ...], make: Callable[[Project], FeatureService]
    ) -> CompiledService:
        """A service for features that a caller chose, compiled on first use.

        Raises what ``make`` does, and what stands in the way of compiling it.
        """
        service = make(self.definitions)  # first: a wrong name waits for nobody's compiling
        with self._compiling:
            compiled = self._ad_hoc.get(chosen)
            if compiled is not None:
                return compiled
            compiled = self._compile(service, "get-online-features", label="")
            compiled.served = self._kept(compiled)
            self._ad_hoc[chosen] = compiled
            if len(self._ad_hoc) > _MOST_AD_HOC:
                self._ad_hoc.popitem(last=False)
        if self._served is not None and compiled.served is not None:
            self._served.look()  # before the first answer from what was compiled now
        return compiled

    async def ad_hoc_async(
        self, chosen: tuple[str, ...], make: Callable[[Project], FeatureService]
    ) -> CompiledService:
        """As :meth:`ad_hoc`, without blocking the event loop while it is compiled."""
        compiled = self._ad_hoc.get(chosen)
        return await asyncio.to_thread(self.ad_hoc, chosen, make) if compiled is None else compiled

    def document(self, name: str, make: Callable[[], bytes]) -> bytes:
        """An answer that depends on the definitions alone, made when first asked for."""
        if name not in self._documents:
            self._documents[name] = make()
        return self._documents[name]

    # ---------------------------------------------------------------- compiling

    def _prepare(self, name: str) -> None:
        """Compile and warm a service, or note why it cannot be."""
        with self._compiling:
            if name in self._compiled or name in self.broken:
                return
            try:
                compiled = self._compile(self.definitions.services[name], "features")
                if self._served is not None:
                    compiled.served = self._served.of(compiled.plan)
                compiled.warm()
            except DefinitionError as error:
                # One service that cannot be served must not take the others with it.
                log.error("the service %s cannot be served: %s", name, error)
                self.broken[name] = error
            else:
                self._compiled[name] = compiled

    def _take_over(self, name: str, before: Snapshot) -> None:
        """Take what was compiled for the version before, if it is of the same definition."""
        compiled = before.ready(name)
        try:
            if compiled is not None and compiled.service is self.definitions.services[name]:
                self._compiled[name] = compiled
        except DefinitionError:
            return  # said when it is prepared

    def _kept(self, compiled: CompiledService) -> ServiceLog | None:
        """Where answers of an ad-hoc service are kept: with those of the service it renames."""
        named = self._compiled.get(compiled.service.name)
        if named is not None and _columns(named) == _columns(compiled):
            return named.served
        if self._served is None or self._kept_ad_hoc == _MOST_KEPT:
            return None
        self._kept_ad_hoc += 1
        return self._served.of(compiled.plan)

    def _compile(
        self, service: FeatureService, route: str, *, label: str | None = None
    ) -> CompiledService:
        store, clock, tenant, max_rows = self._made_of
        meter = self._metrics.meter(route, service.name if label is None else label)
        return CompiledService(service, store, clock, tenant=tenant, max_rows=max_rows, meter=meter)


class _Services(Mapping[str, CompiledService]):
    """The services of a snapshot by name, but for those known to be broken; compiled on use."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __getitem__(self, name: str) -> CompiledService:
        if name not in self:
            raise KeyError(name)
        return self._snapshot.service(name)

    def __contains__(self, name: object) -> bool:
        return name in self._snapshot.definitions.services and name not in self._snapshot.broken

    def __iter__(self) -> Iterator[str]:
        return (n for n in self._snapshot.definitions.services if n not in self._snapshot.broken)

    def __len__(self) -> int:
        return len(self._snapshot.definitions.services) - len(self._snapshot.broken)


def _columns(compiled: CompiledService) -> list[tuple[str, str]]:
    """What the columns of a service are, whatever their names."""
    return [(c.origin.definition_hash, c.feature) for c in compiled.service.columns]
