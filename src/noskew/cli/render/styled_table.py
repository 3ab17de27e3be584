"""Tables in the style of this command line."""

from __future__ import annotations

from rich import box
from rich.table import Table


def new_table(title: str, *columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table in the style of this command line; ``numbers`` are set to the right."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        right = column in numbers
        table.add_column(column, justify="right" if right else "left", no_wrap=right)
    table.columns[0].style = "bold"
    return table
