from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from noskew.registry.sql.registry import SqlRegistry
from tests.registry import databases


@pytest.fixture(params=["sqlite", "postgres"])
def registry_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of the test's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/registry.db"
    return databases.new_postgres(request.getfixturevalue("postgres_url"))


@pytest.fixture
def registry(registry_url: str) -> Iterator[SqlRegistry]:
    with SqlRegistry(registry_url) as opened:
        yield opened


@pytest.fixture
def raw(registry_url: str) -> Callable[..., list[tuple[object, ...]]]:
    """Statements that go around the registry, to read and to damage what it wrote."""
    return partial(databases.run, registry_url)
