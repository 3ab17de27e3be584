"""Where a project is: what tasks need to open its stores and to import its functions."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from noskew.addresses import Folders, Tenant
from noskew.config import Config
from noskew.definitions.loading import make_importable
from noskew.definitions.project import Definitions, Project
from noskew.errors import RunnerError
from noskew.project_stores.project_stores import ProjectStores
from noskew.project_stores.task_stores import task_stores
from noskew.runners.base import Runner
from noskew.runners.spark.runner import SparkRunner
from noskew.stores.offline.base import OfflineStore
from noskew.stores.online.base import OnlineStore


@dataclass(frozen=True)
class RunnerProject:
    """A project on a runner: what runs tasks, and what they are told of the project."""

    runner: Runner
    config: Config
    root: Path

    def context(self, definitions: Definitions, **more: Any) -> dict[str, Any]:
        """What a task is told, as JSON data: the place, ``definitions``, and ``more``.

        Shares the feature files with tasks that may run on other machines.
        """
        code, archive = self._code(), None
        if code and not self.runner.is_local:
            archive = self._archive(code)
            self.runner.share(archive)
        return {
            "config": msgspec.json.encode(self.config).decode(),
            "root": str(self.root),
            "code": code,
            "archive": archive.name if archive else None,
            "definitions": json.dumps(Project.of(definitions).to_dict()),
            **more,
        }

    def _code(self) -> str:
        """A digest of the feature files; empty if there are none."""
        files = self._files()
        digest = hashlib.blake2b(digest_size=12)
        for path in files:
            digest.update(f"{path.relative_to(self.root)}\0".encode())
            digest.update(path.read_bytes() + b"\0")
        return digest.hexdigest() if files else ""

    def _archive(self, code: str) -> Path:
        """The feature files as a zip that Python imports from, named for what is in it."""
        path = Folders(self.root).shared_code(code)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            with zipfile.ZipFile(partial, "w") as archive:
                files = [file.relative_to(self.root) for file in self._files()]
                for folder in sorted({up for file in files for up in file.parents[:-1]}):
                    # A package without __init__.py is only found in a zip that lists its folder.
                    archive.mkdir(folder.as_posix())
                for file in files:
                    archive.write(self.root / file, file)
            partial.replace(path)
        return path

    def _files(self) -> list[Path]:
        return sorted((self.root / self.config.features).rglob("*.py"))


@dataclass(frozen=True)
class SparkProject(RunnerProject):
    """A project on Spark, which also takes frames of its own."""

    runner: SparkRunner


@dataclass(frozen=True)
class TaskProject:
    """A project, as a task is told of it: its definitions and its stores."""

    context: Mapping[str, Any]

    def __post_init__(self) -> None:
        _make_importable(self._root, self.config.features, self.context)

    @cached_property
    def project(self) -> Project:
        """The definitions that the task is about."""
        return _project(self.context["definitions"])

    @cached_property
    def config(self) -> Config:
        return msgspec.json.decode(self.context["config"], type=Config)

    @property
    def tenant(self) -> Tenant:
        """Who owns the project's data."""
        return self._stores.tenant

    @property
    def offline(self) -> OfflineStore:
        """The offline store; it stays open for the next task."""
        return self._stores.offline

    @property
    def online(self) -> OnlineStore:
        """The online store; it stays open for the next task."""
        return self._stores.online

    @property
    def _stores(self) -> ProjectStores:
        return task_stores(self._root, self.config)

    @property
    def _root(self) -> Path:
        return Path(self.context["root"])


# ---------------------------------------------------------------- of the process of a task


#: Where functions come from, and a digest of their code.
_imported: dict[str, str] = {}


@lru_cache(maxsize=4)
def _project(definitions: str) -> Project:
    return Project.from_dict(json.loads(definitions))


def _make_importable(root: Path, package: str, context: Mapping[str, Any]) -> None:
    """Find functions in the feature files at ``root``, else in those that were shared."""
    code, folder = context["code"], root
    if not code:
        return
    if context["archive"] and not (root / package).is_dir():
        folder = _shared(context["archive"])
    if _imported != {str(folder): code}:
        # Anything imported so far may be of other code, even from the same place.
        sys.path[:] = [p for p in sys.path if p != str(folder)]
        _imported.clear()
        _imported[str(folder)] = code
    make_importable(folder, package)


def _shared(archive: str) -> Path:
    """Where a runner has put what was shared: tasks import from it."""
    for place in sys.path:
        if Path(place).name == archive:
            return Path(place)
    raise RunnerError(f"the runner did not share {archive!r} with its tasks")
