"""What a worker answers from: the online store and the compiled services, kept up to date."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import sys
from pathlib import Path

from noskew.addresses import Tenant
from noskew.answer_log.log import ServedLog
from noskew.clock import Clock
from noskew.config import Config
from noskew.definitions.project import Project
from noskew.errors import NoskewError, StoreUnavailableError
from noskew.intake.logs import Logs
from noskew.project_stores.factories import open_logs, open_offline
from noskew.project_stores.project_stores import ProjectStores
from noskew.registry.base import Registry
from noskew.registry.versions import Applied
from noskew.serving.http.metrics import Metrics
from noskew.serving.http.skew_metrics import SkewMetrics
from noskew.serving.http.snapshot import Snapshot
from noskew.stores.online.base import OnlineStore

log = logging.getLogger("noskew.serving")
#: How often the registry is asked for its version: at most so old is what is served.
POLL_S = 1.0
#: How long services are compiled before they are served; what is left is compiled on first use.
PREPARE_S = 2.0
#: No row has this key; reading it shows whether a store answers.
_NO_KEY = b"\x00readyz"


class Backend:
    """Opens the stores of a project, follows its registry, and keeps on when either fails.

    A request takes :meth:`snapshot` once and uses nothing else, so that a new version of the
    definitions is seen whole or not at all. The registry is only read by :meth:`follow`.
    """

    def __init__(self, root: Path, config: Config, clock: Clock) -> None:
        self._root, self._config, self._clock = root, config, clock
        self._skew = SkewMetrics()
        self.metrics = Metrics([self._skew])
        self._stores = ProjectStores(root, config=config, clock=clock, read_only=True)
        self._registry: Registry | None = None
        self._store: OnlineStore | None = None
        self._applied = Applied(0, Project())
        self._snapshot: Snapshot | None = None
        self._compiled: tuple[int, OnlineStore | None] = (0, None)
        self._lacking = "it is still starting"
        self._told = ""
        self.served = self._served_log()

    def _served_log(self) -> ServedLog | None:
        """What keeps a sample of the answers; None: nothing is kept."""
        share = self._config.serve.audit
        if not share:
            return None
        return ServedLog(
            self.tenant.name,
            share,
            self._clock,
            self.metrics,
            open_offline=lambda: open_offline(self._config.offline, self._root, self.tenant),
            registry=self.registry,
            online=self.online,
        )

    @property
    def tenant(self) -> Tenant:
        """Who owns the project's data."""
        return self._stores.tenant

    @property
    def clock(self) -> Clock:
        """Where "now" comes from."""
        return self._clock

    def open_logs(self) -> Logs:
        """The logs of the project's streaming sources, each opened when it is asked for."""
        return open_logs(self._root, self._clock)

    def online(self) -> OnlineStore:
        """The store as it is now. Raises StoreUnavailableError if it is not open."""
        if self._store is None:
            raise StoreUnavailableError(f"this server is not ready: {self._lacking}")
        return self._store

    def registry(self) -> Registry:
        """The registry, if it is open. Raises StoreUnavailableError if it is not."""
        if self._registry is None:
            raise StoreUnavailableError(f"this server is not ready: {self._lacking}")
        return self._registry

    @property
    def is_compiled(self) -> bool:
        """Whether there is something to answer from."""
        return self._snapshot is not None

    def snapshot(self) -> Snapshot:
        """The current services. Raises StoreUnavailableError until there are any."""
        if self._snapshot is None:
            raise StoreUnavailableError(f"this server is not ready: {self._lacking}")
        return self._snapshot

    async def check(self) -> None:
        """Return if requests can be answered now, else raise StoreUnavailableError."""
        self.snapshot()
        store = self._store
        assert store is not None
        if store.is_remote:
            await store.read_async([_NO_KEY])
        else:
            store.ping()

    def start(self) -> None:
        """A first round of :meth:`follow`, before the first request."""
        self.refresh()
        if self.served is not None:
            self.served.start()

    async def follow(self) -> None:
        """Open what is not open, and take over what is applied, again and again until cancelled."""
        while True:
            await asyncio.to_thread(self.refresh)
            self.metrics.flush()
            # It must poll: a registry is a database, and tells nobody.
            await asyncio.sleep(POLL_S)

    def refresh(self) -> None:
        """One round of :meth:`follow`; it raises nothing that a later round can mend."""
        try:
            self._open_store()
            self._ask_registry()
            self._take_over()
        except NoskewError as error:
            self._say(str(error))
        except Exception:  # the thread that follows must live; what was served is served on
            log.exception("following the registry failed")

    def close(self) -> None:
        """Close the stores. Only when no request is under way."""
        self._snapshot = None
        if self.served is not None:
            self.served.close()
        self._stores.close()
        self._store = self._registry = None

    # ---------------------------------------------------------------- in the thread of refresh

    def _open_store(self) -> None:
        """Open the store if it is not open, or if its files were replaced.

        Requests under way may still read the old one: it is closed with the worker.
        """
        old = self._store
        if old is not None:
            if old.is_remote:
                return  # it connects again by itself
            try:
                return old.ping()
            except StoreUnavailableError as error:
                log.warning("opening the online store again: %s", error)
        self._store = self._stores.online if old is None else self._stores.reopen_online()

    def _ask_registry(self) -> None:
        """Take note of what is applied; if the registry is down, what was known stays."""
        project = self._config.project
        try:
            if self._registry is None:
                self._registry = self._stores.registry
            if self._registry.head(project) != self._applied.version:
                self._applied = self._registry.current(project, reuse=self._applied)
            self._skew.refresh(self._registry, project)
        except NoskewError as error:
            self.metrics.registry_errors.inc()
            self._say(f"the registry cannot be read: {error}")
        else:
            if self._applied.version == 0:
                self._say(f"nothing is applied in the project {project!r}; run 'noskew apply'")

    def _take_over(self) -> None:
        """Prepare what is applied, then swap it in; the old is served meanwhile."""
        store, applied = self._store, self._applied
        wanted = (applied.version, store)
        if applied.version == 0 or store is None or wanted == self._compiled:
            return
        if self._compiled[0] != applied.version:
            _forget_functions(self._config.features, applied)
        snapshot = Snapshot(
            applied,
            store,
            self._clock,
            tenant=self.tenant,
            max_rows=self._config.serve.max_rows,
            metrics=self.metrics,
            served=self.served,
            before=self._snapshot,
        )
        snapshot.prepare(PREPARE_S)
        if self.served is not None:
            self.served.look()  # before the first answer from what was compiled now
        is_first = self._snapshot is None
        self._snapshot, self._compiled = snapshot, wanted
        if is_first:
            # What is compiled now lives as long as the worker: the collector need not look at it
            # with every request's garbage, which takes a tenth of a second. Later states are
            # small beside it, since they share what has not changed, and go when the next comes.
            gc.collect()
            gc.freeze()
        self.metrics.registry_version.set(snapshot.version)
        self._told = ""
        log.info("serving version %d: %d services", snapshot.version, len(snapshot.services))

    def _say(self, lacking: str) -> None:
        """Log what is lacking, once; and tell it to who asks before anything was compiled."""
        self._lacking = lacking
        if lacking != self._told:
            log.warning("%s", lacking)
            self._told = lacking


def _forget_functions(package: str, applied: Applied) -> None:
    """Have the modules of on-demand functions imported again.

    A module that was imported for an earlier version has the earlier code, while the digest of
    a function is that of its source now. Functions already taken from it keep what they use.
    """
    importlib.invalidate_caches()
    project = applied.project
    functions = [project.data("on_demand", name).get("function") for name in project.on_demand]
    modules = {path.partition(":")[0] for path in functions if path}
    for name in list(sys.modules):
        if name in modules or name == package or name.startswith(package + "."):
            del sys.modules[name]
