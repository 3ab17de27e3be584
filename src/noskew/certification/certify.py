"""Certify: run a definition through every path, and compare bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from time import perf_counter

import pyarrow as pa

from noskew.certification.adversarial_rows import known_at, made_up_rows, ordinary_rows, requests
from noskew.certification.feature_paths import FeaturePaths
from noskew.certification.findings import Findings, PathWatcher
from noskew.certification.other_engines import other_engines
from noskew.certification.sample import sample_rows
from noskew.certification.subprocess_run import run_elsewhere
from noskew.certification.transform_paths import SINGLES, runner_of
from noskew.clock import Clock
from noskew.definitions.on_demand import OnDemand
from noskew.definitions.transforms import FunctionTransform
from noskew.definitions.view import FeatureView
from noskew.registry.records.certificate import Certificate
from noskew.training.spark.runners import Runners

_ORDINARY = ", ordinary numbers"
_LIBRARIES = ("noskew", "duckdb", "pyarrow", "numpy", "pandas", "polars", "sqlglot")


def certify_view(
    view: FeatureView,
    root: Path,
    clock: Clock,
    *,
    sample: int,
    thorough: bool = True,
    watch: PathWatcher | None = None,
    runners: Runners | None = None,
) -> Certificate:
    """Run a view through every path, on rows of its source and on rows made up.

    Parameters
    ----------
    root
        Where paths of the source's data start.
    sample
        Rows of the source's data to take.
    thorough
        Also write an offline table, and run Python functions in another process.
    watch
        Told the name of each path before it is taken.
    runners
        Where Spark comes from. Its tasks are a path if the configuration names it.

    A source whose data cannot be read is none to stop at: the certificate says so. Raises
    CertificateError if the view is native and its engine cannot be reached.
    """
    started = perf_counter()
    real, no_sample = sample_rows(view.source, root, sample)
    made_up = made_up_rows(view)
    rows = pa.concat_tables([real, made_up])
    known = known_at(view.source, rows)
    findings = Findings(watch or _nobody)
    is_function = isinstance(view.transform, FunctionTransform)
    elsewhere = partial(run_elsewhere, view, rows, known) if is_function and thorough else None
    # A SELECT was found to be row-wise when it was defined; a function was not.
    singles = SINGLES if thorough or is_function else SINGLES // 4
    run = runner_of(view, known)
    outcomes = findings.of_batching(run, rows, singles, elsewhere)
    if is_function and not findings.cause:
        # One NaN makes NaN of the mean of every batch that has it, and so hides that there is one.
        ordinary = [ordinary_rows(real), made_up_rows(view, ordinary=True)]
        findings.of_batching(run, pa.concat_tables(ordinary), singles, of=_ORDINARY)
    libraries = {}
    for engine in () if findings.cause else other_engines(view, known, runners, thorough=thorough):
        findings.of_engine(engine, rows, outcomes)
        libraries[engine.library] = engine.version
    if not findings.cause:  # or what follows would only repeat it
        _check_features(findings, view, outcomes.events, rows, known, thorough=thorough)
    return _certificate(
        "feature_view",
        view,
        findings,
        clock,
        started,
        failed=outcomes.failed,
        real=len(real),
        made_up=len(made_up),
        no_sample=no_sample,
        thorough=thorough,
        libraries=libraries,
    )


def certify_function(
    function: OnDemand, clock: Clock, *, thorough: bool = True, watch: PathWatcher | None = None
) -> Certificate:
    """Run an on-demand function on rows made up, in every way that batches can be cut."""
    started = perf_counter()
    kinds = {n: s.view.features[n].dtype for s in function.inputs for n in s.names}
    rows = requests({**kinds, **function.request})
    findings = Findings(watch or _nobody)
    elsewhere = partial(run_elsewhere, function, rows, 0) if thorough else None
    run = runner_of(function, 0)
    outcomes = findings.of_batching(run, rows, SINGLES, elsewhere)
    if not findings.cause:
        ordinary = requests({**kinds, **function.request}, ordinary=True)
        findings.of_batching(run, ordinary, SINGLES, of=_ORDINARY)
    return _certificate(
        "on_demand",
        function,
        findings,
        clock,
        started,
        failed=outcomes.failed,
        real=0,
        made_up=len(rows),
        no_sample="its inputs come with requests",
        thorough=thorough,
    )


def _check_features(
    findings: Findings,
    view: FeatureView,
    events: pa.Table,
    rows: pa.Table,
    known: int,
    *,
    thorough: bool,
) -> None:
    if not len(events):
        return findings.skip("features", "no row of the sample is an event")
    paths = FeaturePaths(view, known)
    pairs = paths.of_batch(events, table=thorough)
    if not paths.no_stream:
        pairs = chain(pairs, paths.of_stream(rows))
    elif view.source.stream is not None:
        findings.skip("stream", paths.no_stream)
    for expected, answers in pairs:
        findings.of_answers(expected, answers)
    return None


def _certificate(
    kind: str,
    item: FeatureView | OnDemand,
    findings: Findings,
    clock: Clock,
    started: float,
    *,
    failed: Mapping[int, str],
    real: int,
    made_up: int,
    no_sample: str,
    thorough: bool,
    libraries: Mapping[str, str] | None = None,
) -> Certificate:
    return Certificate(
        kind,
        item.name,
        item.definition_hash,
        clock.now(),
        seconds=round(perf_counter() - started, 3),
        sample_rows=real,
        made_up_rows=made_up,
        no_sample=no_sample,
        paths=tuple(findings.paths),
        differences=tuple(findings.differences),
        cause=findings.cause,
        failing_rows=len(failed),
        failure=next(iter(failed.values()), ""),
        libraries={**dict(_libraries()), **(libraries or {})},
        is_thorough=thorough,
    )


def _libraries() -> Iterator[tuple[str, str]]:
    for name in _LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _nobody(path: str) -> None:
    """Watches nothing."""
