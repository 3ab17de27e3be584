from __future__ import annotations

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
