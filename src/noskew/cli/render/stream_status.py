"""How far streams are, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from noskew.cli.render.stream_counts import adds_up, cells, shown_number, stream_table, total
from noskew.clock import MICROS_PER_SECOND
from noskew.streaming.status.stream_status import PartitionStatus, SourceStatus, ViewStatus


def status_parts(
    status: SourceStatus, bounds: Mapping[str, int | None]
) -> Iterator[RenderableType]:
    """A table of a source's views and their partitions, and below it what needs attention.

    ``bounds``: how old the rows of a view may be, µs; None: nothing is said of it.
    """
    columns = ("part", "log", "lag", "fresh", "archived")
    table = stream_table(f"stream {status.name}", ["view"], columns)
    for view in status.views:
        bound = bounds.get(view.name)
        names = [view.name, *[""] * len(view.partitions)]
        for name, part in zip(names, view.partitions, strict=False):
            table.add_row(name, str(part.partition), *_cells(part, status.at, bound))
        if len(view.partitions) > 1:
            table.add_row("", Text("all", "dim"), *_together(view, status.at, bound))
        if not view.partitions:
            table.add_row(view.name)
    yield table
    yield from _faults(status)
    yield from _counted(status)
    yield from _quarantined(status)


def age_text(micros: int) -> str:
    """How long something is: ``0.3 s``, ``90 s``, ``12 min``, ``3 h``, ``2 d``."""
    seconds = max(0, micros) / MICROS_PER_SECOND
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit in ((1, "s"), (60, "min"), (3_600, "h")):
        if seconds / size < (120 if size < 3_600 else 48):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:,.0f} d"


def _cells(part: PartitionStatus, at: int, bound: int | None) -> list[Text]:
    """Where the log, the view and the archive are, and what became of the rows."""
    log = Text("?", "yellow") if part.end is None else Text(f"{part.begin:,}–{part.end:,}")
    done = part.archived is not None and part.archived == part.end
    archived = Text("-" if part.archived is None else f"{part.archived:,}", "dim" if done else "")
    counts = [Text("-", "dim")] * 5 if part.progress is None else cells(part.progress)
    return [log, _lag(part.lag), _fresh(part.fresh_until, at, bound), archived, *counts]


def _together(view: ViewStatus, at: int, bound: int | None) -> list[Text]:
    """All partitions of a view: it is as fresh as the least fresh of them."""
    progress = [p.progress for p in view.partitions if p.progress is not None]
    lag, fresh = _sum([p.lag for p in view.partitions]), [p.fresh_until for p in view.partitions]
    least = min((f for f in fresh if f is not None), default=None) if None not in fresh else None
    return [Text(), _lag(lag), _fresh(least, at, bound), Text(), *cells(total(progress))]


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [c for c in counts if c is not None]
    return sum(known) if len(known) == len(counts) else None


def _lag(lag: int | None) -> Text:
    return (
        Text("?", "yellow")
        if lag is None
        else Text(shown_number(lag), "yellow" if lag else "green")
    )


def _fresh(until: int | None, at: int, bound: int | None) -> Text:
    if until is None:
        return Text("-", "dim")
    return Text(age_text(at - until), "red" if bound is not None and at - until > bound else "")


def _faults(status: SourceStatus) -> Iterator[Text]:
    """What cannot be asked, and what is not as it should be."""
    for what, why in status.faults.items():
        yield Text.assemble(("✗ ", "red"), (what, "bold"), f": {why}")
    for view in status.views:
        if view.is_of_another_log:
            yield Text.assemble(
                ("✗ ", "red"),
                (view.name, "bold"),
                ": its rows were folded from a log that was "
                f"made anew since; run noskew stream rebuild {status.name}",
            )


def _counted(status: SourceStatus) -> Iterator[Text]:
    """Whether every row that was read is counted once."""
    counted = [(v, p) for v in status.views for p in v.partitions if p.progress is not None]
    wrong = [(view, p) for view, p in counted if p.progress and not adds_up(p.progress)]
    for view, part in wrong:
        yield Text.assemble(
            ("✗ ", "red"),
            (f"{view.name}, partition {part.partition}", "bold"),
            ": rows are not folded + late + twice + bad; this is a fault in noskew, report it",
        )
    if counted and not wrong:
        yield Text.assemble(("✓ ", "green"), ("rows = folded + late + twice + bad", "dim"))


def _quarantined(status: SourceStatus) -> Iterator[Text]:
    """What is in quarantine, and how to look at it."""
    each = [
        f"{q.rows:,} of {view.name}" + f" ({q.replays:,} replayed)" * bool(q.replays)
        for view in status.views
        if (q := view.quarantine) is not None and q.rows
    ]
    if each:
        yield Text.assemble(
            ("! ", "yellow"),
            ("in quarantine", "bold"),
            f": {', '.join(each)}",
            (f"   noskew stream quarantine {status.name}", "dim"),
        )
