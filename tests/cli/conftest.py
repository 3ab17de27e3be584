from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import project


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A starter project with data; not to be changed."""
    return project.make(tmp_path_factory.mktemp("cli") / "shop")


@pytest.fixture
def shop(filled: Path, tmp_path: Path) -> Path:
    """A copy of a filled starter project, to be changed."""
    return project.copied(filled, tmp_path / "shop")


@pytest.fixture(autouse=True)
def _own_import_path() -> Iterator[None]:
    """Projects put themselves on ``sys.path`` and import ``features``; other tests must not see."""
    before = list(sys.path)
    yield
    sys.path[:] = before
    for name in [n for n in sys.modules if n == "features" or n.startswith("features.")]:
        del sys.modules[name]
