"""The registry and the stores of a project, opened as its configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from noskew._lazy import lazy_module
from noskew.addresses import Folders, Tenant
from noskew.clock import Clock
from noskew.config import Config, OfflineConfig, anchor, find_root, load
from noskew.stores.offline.opening import open_offline_store
from noskew.stores.online import open_store
from noskew.types import check_name

if TYPE_CHECKING:
    from noskew.intake import logs
    from noskew.intake.logs import Logs
    from noskew.registry.base import Registry
    from noskew.registry.sql import registry
    from noskew.stores.offline.base import OfflineStore
    from noskew.stores.online.base import OnlineStore
else:
    logs = lazy_module("noskew.intake.logs")
    registry = lazy_module("noskew.registry.sql.registry")


def locate(
    root: str | Path | None, *, project: str | None = None, config: Config | None = None
) -> tuple[Path, Config]:
    """The directory and the configuration of a project: those given, else of ``noskew.toml``.

    Raises ConfigError if there is no ``noskew.toml`` at or above ``root``, or a fault in it, and
    InvalidNameError for a project that is given and is no name.
    """
    start = Path() if root is None else Path(root)
    if project is not None:
        config = Config(project=project)
    if config is not None:
        check_name(config.project, "project")
        return start.resolve(), config
    directory = find_root(start)
    return directory, load(directory)


def open_registry(config: Config, root: Path) -> Registry:
    """The registry; files of SQLite are made if absent."""
    return registry.SqlRegistry(_anchored(config.registry.url, root))


def open_offline(settings: OfflineConfig, root: Path, tenant: Tenant) -> OfflineStore:
    """The offline store: the tenant's namespace in the catalog."""
    warehouse = settings.warehouse
    if "://" not in warehouse:
        warehouse = str(root / warehouse)
    return open_offline_store(
        _anchored(settings.catalog, root),
        warehouse,
        namespace=tenant.namespace,
        properties=settings.properties,
    )


def open_online(config: Config, root: Path, *, read_only: bool = False) -> OnlineStore:
    """The online store. A Redis that may lose rows is refused here.

    ``read_only``: for reading only where that is an option of the store; it is empty if nothing
    was ever written.
    """
    return open_store(_anchored(config.online.url, root), readonly=read_only)


def open_logs(root: Path, clock: Clock) -> Logs:
    """The logs of streaming sources, each opened when it is asked for."""
    return logs.Logs(Folders(root).logs, clock)


def _anchored(url: str, root: Path) -> str:
    """The address with its path taken from ``root``, and the folder of that path made."""
    anchored = anchor(url, root)
    if anchored != url:
        Path(anchored.split("///", 1)[1].split("?")[0]).parent.mkdir(parents=True, exist_ok=True)
    return anchored
