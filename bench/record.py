"""The last whole runs, one file each, and the newest value of every figure.

``runs/<time>.json`` has what a whole run measured, when and on what machine. The oldest goes when
a sixth comes. A section that is measured again is one more measurement of its figures: it takes
nothing away, is kept in the file of the newest whole run, and goes with it. So no figure gets
better by being measured until it is good. ``latest.json`` has the newest value of each figure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.result import Result, write_json
from bench.targets import TARGETS

#: So many whole runs are kept, and so many measurements of a figure count.
KEEP = 5
FOLDER = Path(__file__).resolve().parent / "results"


@dataclass
class Run:
    """What was measured at a time (UTC, ``2026-11-25T17-30``) on a machine.

    ``again``: sections that were measured once more after this whole run, oldest first.
    """

    at: str
    machine: dict[str, Any]
    results: list[Result]
    again: list[Run] = field(default_factory=list)

    @classmethod
    def from_dict(cls, text: dict[str, Any]) -> Run:
        """The run that :meth:`to_dict` was made from."""
        results = [Result.from_dict(result) for result in text["results"]]
        again = [cls.from_dict(part) for part in text.get("again", ())]
        return cls(text["at"], text["machine"], results, again)

    def to_dict(self) -> dict[str, Any]:
        text = {"at": self.at, "machine": self.machine, "results": as_dicts(self.results)}
        return text | ({"again": [part.to_dict() for part in self.again]} if self.again else {})

    def newest(self) -> list[Result]:
        """The newest value of each figure, in the order of the whole run."""
        by_name = {result.name: result for result in self.results}
        for part in self.again:
            by_name |= {result.name: result for result in part.results}
        return list(by_name.values())


def as_dicts(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Results as they are stored, with their targets."""
    return [result.to_dict(TARGETS.get(result.name, ())) for result in results]


def runs(folder: Path = FOLDER) -> list[Run]:
    """The whole runs on record, oldest first."""
    files = sorted((folder / "runs").glob("*.json"))
    return [Run.from_dict(json.loads(file.read_text(encoding="utf-8"))) for file in files]


def keep(run: Run, folder: Path = FOLDER) -> Path:
    """Put a whole run on record, and drop those that are too old; the file of the run."""
    path = _write(run, folder)
    for old in sorted((folder / "runs").glob("*.json"))[:-KEEP]:
        old.unlink()
    return path


def keep_again(part: Run, folder: Path = FOLDER) -> Path:
    """Put sections that were measured again on record, with the newest whole run.

    Raises LookupError if no whole run is on record.
    """
    on_record = runs(folder)
    if not on_record:
        raise LookupError("no whole run is on record; measure one with `make bench`")
    newest = on_record[-1]
    newest.again.append(part)
    return _write(newest, folder)


def by_figure(whole: Sequence[Run]) -> dict[str, list[Result]]:
    """The last :data:`KEEP` measurements of each figure, oldest first."""
    results: dict[str, list[Result]] = {}
    for run in whole:
        for part in (run, *run.again):
            for result in part.results:
                results.setdefault(result.name, []).append(result)
    return {name: measured[-KEEP:] for name, measured in results.items()}


def _write(run: Run, folder: Path) -> Path:
    path = folder / "runs" / f"{run.at}.json"
    write_json(path, run.to_dict())
    write_json(folder / "latest.json", as_dicts(run.newest()))
    return path
