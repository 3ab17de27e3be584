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
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in names:
        made.add_column(name, overflow="fold")
    for name in (*numbers, *_COLUMNS):
        made.add_column(name, justify="right", no_wrap=True)
    made.columns[0].style = "bold"
    return made


def cells(mark: PartitionProgress) -> list[Text]:
    """The counts of a mark; red where they do not add up, which they always should."""
    style = "" if adds_up(mark) else "bold red"
    return [
        Text(shown_number(mark.consumed), style),
        Text(shown_number(mark.folded), style),
        Text(shown_number(mark.late), style or _unless_none(mark.late, "yellow")),
        Text(shown_number(mark.duplicate), style or _unless_none(mark.duplicate, "")),
        Text(shown_number(mark.quarantined), style or _unless_none(mark.quarantined, "red")),
    ]


def adds_up(mark: PartitionProgress) -> bool:
    """Whether every row that was read is counted once."""
    return mark.consumed == mark.folded + mark.late + mark.duplicate + mark.quarantined


def total(marks: Iterable[PartitionProgress]) -> PartitionProgress:
    """The counts of several partitions together; where they are means nothing then."""
    found = list(marks)
    counts = {
        name: sum(getattr(m, name) for m in found)
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
