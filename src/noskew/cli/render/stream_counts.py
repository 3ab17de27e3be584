"""What became of a stream's rows, as columns that add up: rows = folded + late + twice + bad."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from noskew.streaming.fold.progress import PartitionProgress

#: In words that are short and stand for themselves: bad ones are in quarantine.
_COLUMNS = ("rows", "=folded", "+late", "+twice", "+bad")
#: From here on a count is shown by its first digits; machines are told all of them.
_LONG = 10_000_000


def stream_table(title: str, names: Iterable[str], numbers: Iterable[str]) -> Table:
    """An empty table with columns of names, of numbers, and then those of :func:`cells`."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in names:
        table.add_column(name, overflow="fold")
    for name in (*numbers, *_COLUMNS):
        table.add_column(name, justify="right", no_wrap=True)
    table.columns[0].style = "bold"
    return table


def cells(progress: PartitionProgress) -> list[Text]:
    """The counts of a progress; red where they do not add up, which they always should."""
    style = "" if adds_up(progress) else "bold red"
    return [
        Text(shown_number(progress.consumed), style),
        Text(shown_number(progress.folded), style),
        Text(shown_number(progress.late), style or _unless_none(progress.late, "yellow")),
        Text(shown_number(progress.duplicate), style or _unless_none(progress.duplicate, "")),
        Text(
            shown_number(progress.quarantined), style or _unless_none(progress.quarantined, "red")
        ),
    ]


def adds_up(progress: PartitionProgress) -> bool:
    """Whether every row that was read is counted once."""
    return (
        progress.consumed
        == progress.folded + progress.late + progress.duplicate + progress.quarantined
    )


def total(each: Iterable[PartitionProgress]) -> PartitionProgress:
    """The counts of several partitions together; where they are means nothing then."""
    counted = list(each)
    counts = {
        name: sum(getattr(progress, name) for progress in counted)
        for name in ("consumed", "folded", "late", "duplicate", "quarantined", "late_folded")
    }
    return PartitionProgress(**counts)


def shown_number(count: int) -> str:
    """``1,234,567``, and ``123.5 M`` for what is much longer."""
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if count >= max(size, _LONG):
            return f"{count / size:.1f} {unit}"
    return f"{count:,}"


def _unless_none(count: int, style: str) -> str:
    return style if count else "dim"
