"""Offline stores by the scheme of their catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from noskew.errors import ConfigError, nearest
from noskew.plugins import Plugins

if TYPE_CHECKING:
    from noskew.stores.offline.base import OfflineStore


class Opener(Protocol):
    """Opens the offline stores of a scheme."""

    def __call__(
        self, catalog: str, warehouse: str, *, namespace: str, properties: Mapping[str, str]
    ) -> OfflineStore:
        """See :func:`open_offline_store`."""


_ICEBERG = "noskew.stores.offline.iceberg:IcebergStore"
_OPENERS: Plugins[Opener] = Plugins(
    "noskew.offline_stores",
    dict.fromkeys(("sqlite", "postgres", "postgresql", "postgresql+psycopg"), _ICEBERG),
)


def open_offline_store(
    catalog: str, warehouse: str, *, namespace: str, properties: Mapping[str, str] | None = None
) -> OfflineStore:
    """The offline store whose catalog has an address.

    With ``sqlite:///…`` or ``postgresql://…`` it is Iceberg tables; any other scheme is opened by
    the installed distribution that has an entry point of that name in the group
    ``noskew.offline_stores``, a function of the same arguments.

    Raises ConfigError for an unknown scheme, MissingExtraError when a library is not installed,
    and what the store raises on opening.

    Parameters
    ----------
    catalog
        The address of what knows the tables.
    warehouse
        Where the files go: a local path, or the URI of an object store.
    namespace
        Under which the tables of one project stand in the catalog.
    properties
        Further settings, such as those of an object store.
    """
    scheme, colon, _ = catalog.partition(":")
    if not colon:  # and it may be a password that was put in the wrong place
        raise ConfigError(
            "the catalog of the offline store is not a database URI, such as "
            "'sqlite:///.noskew/catalog.db'"
        )
    opener = _OPENERS.get(scheme)
    if opener is None:
        raise ConfigError(
            f"the catalog of the offline store has an address of scheme {scheme!r}, expected for "
            f"example 'sqlite:///.noskew/catalog.db'; {nearest(scheme, _OPENERS.names())}"
        )
    return opener(catalog, warehouse, namespace=namespace, properties=properties or {})
