"""Certify: run a view's definition through every path, and compare bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa

from noskew.certification.causes import cause_in_features, cause_of
from noskew.certification.certificate import Certificate, Difference, PathReport
from noskew.certification.elsewhere import run_elsewhere
from noskew.certification.feature_paths import Answers, FeaturePaths
from noskew.certification.made_up import known_at, made_up_rows
from noskew.certification.outcomes import Unequal, compare, run_in_batches
from noskew.certification.sample import sample_rows
from noskew.certification.transform_paths import SINGLES, bulk, runner, ways
from noskew.clock import Clock
from noskew.definitions.transforms import FunctionTransform
from noskew.definitions.view import FeatureView
from noskew.kernel.bits import differing

#: Rows of a source's own data that a view is run on.
SAMPLE_ROWS = 2_000
_ELSEWHERE = "another process"
_LIBRARIES = ("noskew", "duckdb", "pyarrow", "numpy", "pandas", "polars", "sqlglot")
_LONGEST = 200
#: Told the name of each path before it is taken.
Watcher = Callable[[str], None]


def certify(
    view: FeatureView, root: Path, clock: Clock, *,
    sample: int = SAMPLE_ROWS, thorough: bool = True, watch: Watcher | None = None,
) -> Certificate:  # fmt: skip
    """Run a view through every path, on rows of its source and on rows made up.

    Parameters
    ----------
    root
        Where paths of the source's data start.
    sample
        Rows of the source's data to take.
    thorough
        Also write an offline table, and run Python functions in another process.

    Raises DefinitionError and its children if the definition cannot run at all.
    """
    started = perf_counter()
    real, no_sample = sample_rows(view.source, root, sample)
    made_up = made_up_rows(view)
    rows = pa.concat_tables([real, made_up])
    work = _Work(view, rows, thorough, watch or (lambda _: None))
    work.run()
    return Certificate(
        "feature_view", view.name, view.definition_hash, clock.now(),
        seconds=round(perf_counter() - started, 3),
        sample_rows=len(real), made_up_rows=len(made_up), no_sample=no_sample,
        paths=tuple(work.paths), differences=tuple(work.differences), cause=work.cause,
        failing_rows=len(work.failed), failure=next(iter(work.failed.values()), ""),
        libraries=_libraries(),
    )  # fmt: skip


@dataclass
class _Work:
    view: FeatureView
    rows: pa.Table
    thorough: bool
    watch: Watcher
    paths: list[PathReport] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    cause: str = ""
    failed: dict[int, str] = field(default_factory=dict)

    def run(self) -> None:
        self.known_time = known_at(self.view.source, self.rows)
        events = self._transform()
        if self.cause:
            return  # what follows would only repeat it
        self._features(events)

    # ---------------------------------------------------------------- rows to events

    @property
    def _is_function(self) -> bool:
        return isinstance(self.view.transform, FunctionTransform)

    def _transform(self) -> pa.Table:
        """The events of all rows, once every way of batching them is known to give the same."""
        run = runner(self.view, self.known_time)
        expected = bulk(run, self.rows)
        self.failed = expected.failed
        found: dict[str, list[Unequal]] = {}
        moody = list(expected.moody)
        failed = np.array(sorted(self.failed), np.int64)
        good = np.setdiff1d(np.arange(len(self.rows)), failed)
        # A SELECT was found to be row-wise when it was defined; a function was not.
        singles = SINGLES if self.thorough or self._is_function else SINGLES // 4
        for way in ways(good, failed, singles):
            self.watch(way.name)
            made = run_in_batches(run, self.rows, way.batches)
            found[way.name] = compare(expected, made, way.rows)
            moody += made.moody
            self._told(way.name, len(way.rows), found[way.name])
        if self._is_function and self.thorough:
            self.watch(_ELSEWHERE)
            made = run_elsewhere(self.view, self.rows, self.known_time)
            found[_ELSEWHERE] = compare(expected, made, np.arange(len(self.rows)))
            self._told(_ELSEWHERE, len(self.rows), found[_ELSEWHERE])
        if moody and not any(found.values()):
            self.differences.append(_moody(moody))
        if self.differences:
            self.cause = cause_of(found) if any(found.values()) else _MOODY
        return expected.events

    def _told(self, path: str, rows: int, found: Sequence[Unequal]) -> None:
        self.paths.append(PathReport(path, rows, len({u.row for u in found})))
        columns = dict.fromkeys(u.column for u in found)
        for column in columns:
            some = [u for u in found if u.column == column]
            self.differences.append(self._difference(path, column, some))

    def _difference(self, path: str, column: str, some: Sequence[Unequal]) -> Difference:
        first = some[0]
        row = self.rows.slice(first.row, 1).to_pylist()[0]
        example = {
            "row": ", ".join(f"{n}={_shown(v)}" for n, v in row.items()),
            "all rows at once": _shown(first.left),
            path: _shown(first.right),
        }
        return Difference(path, column, len(some), example)

    # ---------------------------------------------------------------- events to answers

    def _features(self, events: pa.Table) -> None:
        if not len(events):
            self.paths.append(PathReport("features", skipped="no row of the sample is an event"))
            return
        paths = FeaturePaths(self.view, self.known_time)
        pairs = paths.of_batch(events, table=self.thorough)
        if self.view.source.stream is not None:
            pairs = chain(pairs, paths.of_stream(self.rows))
        for expected, answers in pairs:
            self.watch(answers.path)
            self._compare(expected, answers)

    def _compare(self, expected: Answers, answers: Answers) -> None:
        different = 0
        for name in expected.values.column_names:
            left, right = expected.values.column(name), answers.values.column(name)
            wrong = np.flatnonzero(differing(left, right)).tolist()
            different += len(wrong)
            if wrong:
                at = wrong[0]
                example = {
                    "training": _shown(left[at].as_py()), answers.path: _shown(right[at].as_py()),
                }  # fmt: skip
                self.differences.append(Difference(answers.path, name, len(wrong), example))
                self.cause = self.cause or cause_in_features(answers.path)
        self._add(PathReport(answers.path, len(expected.values), different))

    def _add(self, report: PathReport) -> None:
        """A path that is taken several times is one line of the report."""
        for i, held in enumerate(self.paths):
            if held.name == report.name:
                self.paths[i] = PathReport(
                    held.name, held.rows + report.rows, held.different + report.different
                )
                return
        self.paths.append(report)


_MOODY = "it fails on some batches although it fails on none of their rows alone"


def _moody(said: Sequence[str]) -> Difference:
    return Difference("larger batches", "", len(said), {"it says": said[0][:_LONGEST]})


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _libraries() -> dict[str, str]:
    def installed() -> Iterator[tuple[str, str]]:
        for name in _LIBRARIES:
            try:
                yield name, version(name)
            except ModuleNotFoundError:
                continue

    return dict(installed())
