"""Commands on a project of many definitions, each a whole process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from bench.result import Result
from bench.size_project import KEY, ProjectSize, service_name, write_team
from bench.timing import NOSKEW, in_turns, median, noise_of, processor_of_children, wall

#: Seconds for all runs of one command; one that takes longer is run once.
_PATIENCE = 6.0
#: Certificates depend on the number of views and on what each computes: they are not timed.
APPLY = ("apply", "--yes", "--allow-breaking", "--uncertified")


@dataclass
class _Command:
    """A command on a project, and the processor time of each of its runs."""

    root: Path
    arguments: Sequence[str]
    prepare: Callable[[Path], object] | None = None
    work: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        if self.prepare is not None:
            self.prepare(self.root)
        before = processor_of_children()
        seconds = wall([NOSKEW, "-C", str(self.root), *self.arguments])
        self.work.append(processor_of_children() - before)
        return seconds


def apply_first(root: Path) -> None:
    """Apply a project of which nothing is applied yet."""
    _Command(root, APPLY, _forget)()


def apply_all(root: Path, size: ProjectSize, runs: int) -> Result:
    """The first apply of everything."""
    command = _Command(root, APPLY, _forget)
    return _measured("size.apply.all", command, "noskew apply of all, --uncertified", size, runs)


def read(prefix: str, root: Path, size: ProjectSize, runs: int) -> Iterator[Result]:
    """``list``, ``show`` and ``get`` of a service of which all views have rows."""
    service = service_name(0)
    for name, arguments in {
        "list": ("list", "services"),
        "show": ("show", service),
        "get": ("get", service, f"{KEY}=1"),
    }.items():
        what = f"noskew {' '.join(arguments)}"
        yield _measured(f"{prefix}.{name}", _Command(root, arguments), what, size, runs)


def change(root: Path, size: ProjectSize, runs: int) -> Iterator[Result]:
    """``plan`` and ``apply`` of one view that changed."""
    changes = count(1)

    def change_one(root: Path) -> None:
        write_team(root, size, size.teams - 1, next(changes))

    for name, arguments in {"plan": ("plan",), "apply": APPLY}.items():
        without = ", --uncertified" if name == "apply" else ""
        what = f"noskew {name} after a change of one view{without}"
        command = _Command(root, arguments, change_one)
        yield _measured(f"size.{name}.one", command, what, size, runs)


def _forget(root: Path) -> None:
    shutil.rmtree(root / ".noskew", ignore_errors=True)


def _bare(root: Path) -> float:
    registry = root / ".noskew" / "registry.db"
    return wall([sys.executable, "-m", "bench.size_bare", str(registry)])


def _measured(name: str, command: _Command, what: str, size: ProjectSize, runs: int) -> Result:
    """A command beside the bare reading of what it leaves in the registry."""
    sides = {"noskew": command, "limit": partial(_bare, command.root)}
    took = in_turns(sides, runs=runs, patience=_PATIENCE)
    return Result(
        name,
        median(took["noskew"]),
        "s",
        median(took["limit"]),
        f"{what}, a whole process; {size.text}; limit: SQLite and orjson read the whole registry; "
        f"{median(command.work):.2f} s of processor time; {len(took['noskew'])} runs",
        noise=noise_of(took),
    )
