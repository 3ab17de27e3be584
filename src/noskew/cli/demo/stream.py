"""The chapter on streams: flights are reported, features change, and equal those of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import ModuleType

import pyarrow as pa

from noskew.cli.demo import project
from noskew.cli.demo.bits import require_equal
from noskew.cli.demo.board import Board
from noskew.cli.demo.folding import Folding
from noskew.cli.demo.stage import say, show
from noskew.cli.demo.twin import made_in_batch
from noskew.cli.render.styled_table import new_table
from noskew.clock import FixedClock
from noskew.definitions.service import FeatureService
from noskew.definitions.view import FeatureView
from noskew.feature_store import FeatureStore
from noskew.kernel.bits import differences
from noskew.streaming.fold.progress import PartitionProgress

#: When the replay is held: after so much of it, and then on no edge of any window.
_HELD_AFTER = (0.4, 0.7, 1.0)
_OFF_THE_EDGE = "7m11s271828us"

Tables = Mapping[str, pa.Table]
#: When each step ends (µs), and what is reported in it, by source.
Steps = Sequence[tuple[int, Tables]]


@dataclass(frozen=True)
class Held:
    """A moment of the replay (µs), and what the stream served then of every entity, by view."""

    t: int
    served: Tables


@dataclass(frozen=True)
class Replayed:
    """A replay that is over. ``progress``: what became of the reports, by view."""

    moments: list[Held]
    progress: Mapping[str, PartitionProgress]
    seconds: float


def replay(root: Path) -> None:
    """Stream the flights project's reports, and compare what was served with two other ways.

    Raises CorruptDataError if one value differs.
    """
    script = project.script(root / "stream", "replay")
    reports = script.reports(root / "data")
    steps = list(script.steps(reports))
    clock = FixedClock(steps[0][0])
    with FeatureStore(root / "stream", clock=clock) as store:
        store.apply(message="noskew demo")
        views = list(store.applied.project.views.values())
        entities = {v.name: _entities(v, reports[v.source.name]) for v in views}
        _tell(script, reports)
        done = _replayed(store, clock, steps, entities)
        say(
            f"{sum(map(len, reports.values())):,} reports in {done.seconds:.1f} s, read while they "
            f"came. Now the same again, in two other ways:"
        )
        historical = {v.name: _historical(store, v, entities[v.name], done.moments) for v in views}
    batch = made_in_batch(
        root / "stream" / ".noskew" / "batch",
        views,
        reports,
        [(h.t, entities) for h in done.moments],
        script.KNOWN,
    )
    _prove(views, done, entities, historical, batch)


def _tell(script: ModuleType, reports: Tables) -> None:
    rows = " and ".join(f"{len(t):,} {name}" for name, t in reports.items())
    say(
        f"The first {script.DAYS} days again, each flight when it is reported: {rows},\n"
        "nearly in order, some hours late, some twice. They are pushed to a log on disk, a thread\n"
        "for each source folds them, and the features of the airports are read meanwhile."
    )


def _replayed(store: FeatureStore, clock: FixedClock, steps: Steps, entities: Tables) -> Replayed:
    """Push all reports, step by step, and hold it at some moments to read everything."""
    sources = list(dict.fromkeys(name for _, parts in steps for name in parts))
    stops = {round(part * len(steps)) for part in _HELD_AFTER}
    moments: list[Held] = []
    unread, pushed = set(sources), 0
    started = perf_counter()
    with Folding(store, sources) as folding, Board(store, folding, sources) as board:
        for number, (end, parts) in enumerate(steps, 1):
            clock.set(end)
            folding.push(parts)
            pushed += sum(map(len, parts.values()))
            if number in stops:
                folding.settle()
                clock.advance(_OFF_THE_EDGE)
                moments.append(Held(clock.now(), _served(store, entities)))
                board.note(f"held after {pushed:,} reports")
            elif unread:  # before each source has rows online there is nothing to show
                folding.settle()
                unread -= set(parts)
            else:
                board.draw()
        seconds = perf_counter() - started
    return Replayed(moments, folding.progress(), seconds)


def _entities(view: FeatureView, reports: pa.Table) -> pa.Table:
    """Every entity of a view that is reported, whether before a moment or after it."""
    keys = list(view.entity.keys)
    return reports.select(keys).drop_null().group_by(keys, use_threads=False).aggregate([])


def _all_of(view: FeatureView) -> FeatureService:
    return FeatureService(f"all_{view.name}", [view])


def _served(store: FeatureStore, entities: Tables) -> dict[str, pa.Table]:
    views = store.applied.project.views
    return {
        name: store.get_online_features(_all_of(views[name]), rows).to_arrow()
        for name, rows in entities.items()
    }


def _historical(
    store: FeatureStore, view: FeatureView, entities: pa.Table, moments: list[Held]
) -> pa.Table:
    """What a training set of the archived stream says about the entities at each moment."""
    asked = pa.concat_tables(
        entities.append_column(
            "event_timestamp", pa.array([h.t] * len(entities), pa.timestamp("us", "UTC"))
        )
        for h in moments
    )
    table = store.get_historical_features(asked, _all_of(view), known_at="row").to_arrow()
    return table.select(list(view.features))


def _prove(
    views: list[FeatureView], done: Replayed, entities: Tables, historical: Tables, batch: Tables
) -> None:
    """Compare and show it, then raise CorruptDataError if one value differs."""
    counts = ("reports", "= counted", "+ twice", "counted late", "entities", "values")
    others = {"training set": historical, "batch": batch}
    title = "What the stream served, beside what the other two say"
    table = new_table(title, "view", *counts, *others, numbers=(*counts, *others))
    faults: dict[str, dict[str, int]] = {}
    total = 0
    for name in (v.name for v in views):
        served = pa.concat_tables(h.served[name] for h in done.moments)
        differing = {what: differences(served, other[name]) for what, other in others.items()}
        values = len(served) * served.num_columns
        table.add_row(
            name,
            *_counted(done.progress[name]),
            f"{len(entities[name]):,}",
            f"{values:,}",
            *map(_verdict, differing.values()),
        )
        faults |= {f"{name}, stream and {what}": differ for what, differ in differing.items()}
        total += values
    show(table)
    for where, differ in faults.items():
        require_equal(differ, where)
    say(
        f"Every feature of every entity at {len(done.moments)} moments: "
        f"[green]0 of {total:,} values differ[/green] from a training set of the\narchived "
        "stream, and 0 from a project that "
        "ingested the same reports and materialized up to there."
    )


def _counted(progress: PartitionProgress) -> list[str]:
    """What became of reports: all of them, those that count, repetitions; of the second, late."""
    counts = progress.consumed, progress.folded, progress.duplicate, progress.late_folded
    return [f"{n:,}" for n in counts]


def _verdict(differ: dict[str, int]) -> str:
    n = sum(differ.values())
    return f"[red]{n:,} differ[/red]" if n else "[green]0 differ[/green]"
