"""Findings: what a certification has seen so far, path by path."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.certification.causes import (
    FAILS_ELSEWHERE,
    FAILS_ON_NOTHING,
    MOODY,
    cause_in_features,
    difference_cause,
)
from noskew.certification.feature_paths import PathAnswers
from noskew.certification.other_engines import Engine
from noskew.certification.outcomes import (
    Outcomes,
    PathRun,
    Unequal,
    compare_outcomes,
    run_in_batches,
)
from noskew.certification.transform_paths import BULK, bulk, ways
from noskew.clock import to_micros, to_text
from noskew.errors import NoskewError, TransformError
from noskew.kernel.bits import differing
from noskew.registry.records.certificate import PathDifference, PathReport

_LONGEST = 200
#: How many of the rows that fail are given to another engine, each alone.
_FAILED = 8
#: Told the name of each path before it is taken.
PathWatcher = Callable[[str], None]


@dataclass
class Findings:
    """Paths, differences and their likely cause."""

    watch: PathWatcher
    paths: list[PathReport] = field(default_factory=list)
    differences: list[PathDifference] = field(default_factory=list)
    cause: str = ""

    def of_batching(
        self,
        run: PathRun,
        rows: pa.Table,
        singles: int,
        elsewhere: Callable[[], Outcomes] | None = None,
        *,
        of: str = "",
    ) -> Outcomes:
        """Give ``run`` the rows in every way, and ``elsewhere`` in another process.

        ``of``: what rows they are, if not all kinds; it is added to the names of paths.
        Returns what becomes of all rows at once, which the others are held against.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Rows made up are there to be difficult; that NumPy remarks on them helps nobody.
            warnings.simplefilter("ignore")
            return self._batched(run, rows, singles, elsewhere, of)

    def _batched(
        self,
        run: PathRun,
        rows: pa.Table,
        singles: int,
        elsewhere: Callable[[], Outcomes] | None,
        of: str,
    ) -> Outcomes:
        self.watch(BULK)
        expected = bulk(run, rows)
        everything = np.arange(len(rows))
        bad = np.array(sorted(expected.failed), np.int64)
        unequal: dict[str, list[Unequal]] = {}
        moody = list(expected.moody)
        for way in ways(np.setdiff1d(everything, bad), bad, singles):
            self.watch(way.name)
            outcomes = run_in_batches(run, rows, way.batches, expected.events.schema)
            moody += outcomes.moody
            unequal[way.name] = self._compared(way.name + of, expected, outcomes, way.rows, rows)
        said = ""
        if elsewhere is not None:
            self.watch(ELSEWHERE)
            try:
                unequal[ELSEWHERE] = self._compared(
                    ELSEWHERE, expected, elsewhere(), everything, rows
                )
            except TransformError as error:
                said = str(error)
        if any(unequal.values()):
            self.cause = difference_cause(unequal)
        elif said:
            self._says(ELSEWHERE, said, FAILS_ELSEWHERE)
        elif said := _of_no_rows(run, rows):
            self._says("no rows", said, FAILS_ON_NOTHING)
        elif moody:
            self._says("larger batches", moody[0], MOODY)
        return expected

    def of_engine(self, engine: Engine, rows: pa.Table, expected: Outcomes) -> None:
        """Hold what another engine makes of rows against what this process does.

        Of the rows that the transform fails on it gets some, each alone.
        """
        self.watch(engine.path)
        can = engine.can_take(rows)
        failed = np.array(sorted(expected.failed), np.int64)
        good = np.setdiff1d(np.flatnonzero(can), failed)
        some = failed[can[failed]][:_FAILED] if engine.can_fail else failed[:0]
        batches = [good, *(some[i : i + 1] for i in range(len(some)))]
        outcomes = run_in_batches(engine.run, rows, batches, expected.events.schema)
        given = np.sort(np.concatenate(batches))
        if self._compared(engine.path, expected, outcomes, given, rows):
            self.cause = self.cause or engine.cause

    def of_answers(self, expected: PathAnswers, answers: PathAnswers) -> None:
        """Hold the answers of a path against those of training."""
        self.watch(answers.path)
        different = 0
        for name in expected.values.column_names:
            left, right = expected.values.column(name), answers.values.column(name)
            wrong = np.flatnonzero(differing(left, right))
            different += len(wrong)
            if len(wrong):
                sides = {expected.path: left, answers.path: right}
                example = {path: _shown(column[wrong[0]].as_py()) for path, column in sides.items()}
                self.differences.append(PathDifference(answers.path, name, len(wrong), example))
                self.cause = self.cause or cause_in_features(answers.path)
        self._add(PathReport(answers.path, len(expected.values), different))

    def skip(self, path: str, why: str) -> None:
        """Take note of a path that cannot be taken."""
        self.paths.append(PathReport(path, skipped=why))

    def _says(self, path: str, said: str, cause: str) -> None:
        """Take note of a path that fails as a whole."""
        self.differences.append(PathDifference(path, "", 0, {"it says": said[:_LONGEST]}))
        self.cause = cause

    def _compared(
        self,
        path: str,
        expected: Outcomes,
        outcomes: Outcomes,
        some: NDArray[np.int64],
        rows: pa.Table,
    ) -> list[Unequal]:
        unequal = compare_outcomes(expected, outcomes, some)
        self.paths.append(PathReport(path, len(some), len({u.row for u in unequal})))
        self.differences += [
            _difference(path, column, [u for u in unequal if u.column == column], rows)
            for column in dict.fromkeys(u.column for u in unequal)
        ]
        return unequal

    def _add(self, report: PathReport) -> None:
        """A path that is taken several times is one line of the report."""
        for i, before in enumerate(self.paths):
            if before.name == report.name:
                sums = before.rows + report.rows, before.different + report.different
                self.paths[i] = PathReport(before.name, *sums)
                return
        self.paths.append(report)


ELSEWHERE = "another process"


def _of_no_rows(run: PathRun, rows: pa.Table) -> str:
    """What a transform says of a batch without rows; empty if it takes it."""
    try:
        run(rows.slice(0, 0), np.zeros(0, np.int64))
    except NoskewError as error:
        return str(error)
    return ""


def _difference(path: str, column: str, some: Sequence[Unequal], rows: pa.Table) -> PathDifference:
    first = some[0]
    row: Mapping[str, Any] = rows.slice(first.row, 1).to_pylist()[0]
    example = {
        "row": ", ".join(f"{name}={_shown(value)}" for name, value in row.items()),
        BULK: _shown(first.left),
        path: _shown(first.right),
    }
    return PathDifference(path, column, len(some), example)


def _shown(value: Any) -> str:
    """A value for people: null, times in UTC, everything else as Python writes it."""
    if value is None:
        return "null"
    text = to_text(to_micros(value)) if isinstance(value, datetime) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
