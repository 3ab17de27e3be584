"""Ingest and materialize with bars, and a line that says what was done."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from noskew.cli import totals
from noskew.cli.console import err
from noskew.cli.csv_rows import is_csv
from noskew.cli.progress import Bars
from noskew.cli.warmth import tell_if_cold
from noskew.definitions.connectors import Csv, Parquet
from noskew.feature_store import FeatureStore
from noskew.training.compact import Compacted
from noskew.training.ingest import IngestReport
from noskew.training.materialize import Materialized


def run_ingest(
    store: FeatureStore,
    source: str | None = None,
    file: Path | None = None,
    *,
    console: Console = err,
    full: bool = False,
    runner: str | None = None,
) -> list[IngestReport]:
    """Ingest with a bar for each offline table, then say what was done and what was refused."""
    tell_if_cold(console)
    data: Any = _connector(file) if file else None
    expected = totals.of_ingest(store, source)
    if file:
        expected = dict.fromkeys(expected, totals.source_rows(data, store.root))
    with Bars(expected, console=console) as bars:
        reports = store.ingest(source, data, full=full, progress=bars, runner=runner)
    added, known = sum(r.rows for r in reports), sum(r.known + r.known_by_id for r in reports)
    there = f"; {known:,} rows were there already" if known else ""
    if retracted := sum(r.retracted for r in reports):
        there += f"; {retracted:,} events were taken back"
    if behind := max((r.behind for r in reports), default=0):
        there += f"; all was read, since {behind:,} rows behind the cursor came, went or changed"
    tables = _count(reports, "offline table")
    bars.summary(f"[b]ingest[/b] {added:,} new events into {tables}{there}")
    for report in reports:
        for why, n in report.refused.items():
            console.print(f"  [yellow]{n:,} rows left out[/yellow] of {report.view}: {why}")
    if not reports:
        err.print("  no view has a source with batch data; pass a file: ingest SOURCE --from FILE")
    return reports


def run_undo(store: FeatureStore, run: str) -> None:
    """Undo an ingest, and say what that did and what comes next."""
    done = store.undo_ingest(run)
    for each in done:
        again = f", {each.restored:,} count again" if each.restored else ""
        err.print(f"  {each.view}: {each.retracted:,} events were taken back{again}")
    if done:
        err.print("Next: [b]noskew materialize[/b], which brings the online store up to that.")
    else:
        err.print(f"Nothing to take back: the ingest {run} added nothing, or was undone before.")


def run_materialize(
    store: FeatureStore,
    views: Iterable[str] | None = None,
    *,
    until: Any = None,
    full: bool = False,
    runner: str | None = None,
) -> list[Materialized]:
    """Materialize with a bar for each view, then say what was done."""
    tell_if_cold()
    names = list(views) if views else None
    with Bars(totals.of_materialize(store, names)) as bars:
        done = store.materialize(names, until=until, full=full, progress=bars, runner=runner)
    changed, entities = sum(d.changed for d in done), sum(d.entities for d in done)
    bars.summary(
        f"[b]materialize[/b] {entities:,} rows ({changed:,} changed) of {_count(done, 'view')}"
    )
    return done


def run_compact(store: FeatureStore, views: Iterable[str] | None = None) -> list[Compacted]:
    """Compact with a bar for each offline table, then say how many files there were and are."""
    names = list(views) if views else None
    with Bars(totals.of_compact(store, names)) as bars:
        done = store.compact(names, progress=bars)
    before, after = sum(d.files_before for d in done), sum(d.files_after for d in done)
    tables = _count(done, "offline table")
    bars.summary(f"[b]compact[/b] {before:,} files of {tables} are {after:,} now")
    return done


def _connector(file: Path) -> Any:
    return (Csv if is_csv(file) else Parquet)(str(file))


def _count(things: list[Any], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"
