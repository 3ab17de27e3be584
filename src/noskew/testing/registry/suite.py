"""What each part of the suite of registries stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from noskew.registry.base import Registry

#: When everything is applied, in µs.
AT = 1_370_000_000_000_000


class RegistrySuite:
    """An empty registry, and a way around it."""

    @pytest.fixture
    def registry(self) -> Iterator[Registry]:
        """An open and empty registry; close it afterwards."""
        raise NotImplementedError("give the class a fixture named registry")

    def opener(self, registry: Registry) -> Callable[[], Registry]:
        """Opens the same content again; it is sent to other processes, so no closure."""
        raise NotImplementedError

    def write_raw_record(
        self, registry: Registry, project: str, kind: str, key: str, document: str
    ) -> None:
        """Put text in the place of a record, or where there is none, past the registry."""
        raise NotImplementedError

    def read_raw_record(self, registry: Registry, project: str, kind: str, key: str) -> str:
        """The text of a record, past the registry."""
        raise NotImplementedError

    def damage_versions(self, registry: Registry, project: str, old: str, new: str) -> None:
        """Replace ``old`` by ``new`` in the content of every version, past the registry.

        Without ``old``, the versions are gone, and only the number of the current one is left.
        """
        raise NotImplementedError
