"""ProjectStores: where a project is, and its stores, each opened when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from noskew.addresses import Tenant
from noskew.clock import Clock, SystemClock
from noskew.config import Config
from noskew.project_stores import factories

if TYPE_CHECKING:
    from noskew.intake.logs import Logs
    from noskew.registry.base import Registry
    from noskew.stores.offline.base import OfflineStore
    from noskew.stores.online.base import OnlineStore


class ProjectStores:
    """A project's directory, configuration, clock and stores.

    Parameters
    ----------
    root
        The project's directory; by default the nearest one upwards with ``noskew.toml``.
    project
        A name, to use a directory without ``noskew.toml``; everything else by default.
    config
        The whole configuration, instead of reading ``noskew.toml``.
    clock
        Where "now" comes from.
    read_only
        The online store is opened for reading only, where that is an option of the store.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        *,
        project: str | None = None,
        config: Config | None = None,
        clock: Clock | None = None,
        read_only: bool = False,
    ) -> None:
        self.root, self.config = factories.locate(root, project=project, config=config)
        self.tenant = Tenant(self.config.project)
        self.clock = clock or SystemClock()
        self._read_only = read_only
        self._replaced: list[OnlineStore] = []

    @cached_property
    def registry(self) -> Registry:
        """Where applied definitions are kept."""
        return factories.open_registry(self.config, self.root)

    @cached_property
    def offline(self) -> OfflineStore:
        """Where events are kept."""
        return factories.open_offline(self.config.offline, self.root, self.tenant)

    @cached_property
    def online(self) -> OnlineStore:
        """Where rows for serving are kept."""
        return factories.open_online(self.config, self.root, read_only=self._read_only)

    def reopen_online(self) -> OnlineStore:
        """The online store, opened again, as is needed when its files were replaced.

        The one before may be in use still: it stays open until :meth:`close`. If opening fails,
        it stays the online store.
        """
        before = self.online
        after = factories.open_online(self.config, self.root, read_only=self._read_only)
        self._replaced.append(before)
        self.online = after
        return after

    @cached_property
    def logs(self) -> Logs:
        """The logs of streaming sources."""
        return factories.open_logs(self.root, self.clock)

    def close(self) -> None:
        """Release what was opened; what is asked for again is opened again."""
        kind = type(self)
        opened = [n for n in self.__dict__ if isinstance(getattr(kind, n, None), cached_property)]
        for part in (*self._replaced, *map(self.__dict__.pop, opened)):
            if hasattr(part, "close"):
                part.close()
        self._replaced.clear()

    def __repr__(self) -> str:
        name, online = type(self).__name__, self.config.online.url.partition(":")[0]
        return f"<{name}: project {self.config.project} in {self.root}, online in {online}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
