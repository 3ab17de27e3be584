"""A process of its own that opens a registry and applies, on command, one answer a line.

``open URL`` → ``opened``; ``apply BASE`` → ``won VERSION`` or ``conflict MESSAGE``;
``loop`` → ``won VERSION`` after every apply, for ever.
"""

from __future__ import annotations

import os
import sys

import noskew as ns
from noskew.definitions.project import Project
from noskew.errors import ConflictError
from noskew.registry.store import SqlRegistry

PROJECT = "flights"


def project_of(version: int) -> Project:
    """Other definitions in every version: some stay, some change, some come and go."""
    stays = ns.Entity("stays", {"key": str})
    changes = ns.Entity("changes", {"key": str}, owner=f"owner {version}")
    passes = [ns.Entity(f"passes_{version}_{i}", {"key": str}) for i in range(20)]
    return Project.of([stays, changes, *passes])


def _answer(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _apply(registry: SqlRegistry, base: int) -> None:
    try:
        applied = registry.apply(
            PROJECT,
            project_of(base + 1),
            base_version=base,
            applied_at=base,
            applied_by=f"process {os.getpid()}",
        )
    except ConflictError as error:
        _answer(f"conflict {error}")
    else:
        _answer(f"won {applied.version}")


def main() -> None:
    registry: SqlRegistry | None = None
    _answer("ready")
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "open":
            registry = SqlRegistry(argument)
            _answer("opened")
            continue
        assert registry is not None
        if command == "apply":
            _apply(registry, int(argument))
        while command == "loop":
            _apply(registry, registry.head(PROJECT))


if __name__ == "__main__":
    main()
