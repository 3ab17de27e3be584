"""Stores that stay open from one task to the next, in a process that runs tasks one at a time."""

from __future__ import annotations

from pathlib import Path

from noskew.config import Config
from noskew.project_stores.project_stores import ProjectStores

#: Those of the task before: one project's at most.
_kept: list[ProjectStores] = []


def task_stores(root: Path, config: Config) -> ProjectStores:
    """The stores of a project, for a task to use and to leave open.

    They are closed when a task of another project, or of another configuration, asks for its own.
    """
    for stores in _kept:
        if (stores.root, stores.config) == (root.resolve(), config):
            return stores
    while _kept:
        _kept.pop().close()
    _kept.append(ProjectStores(root, config=config))
    return _kept[0]
