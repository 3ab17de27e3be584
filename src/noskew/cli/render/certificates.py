"""What certification found: a line for each definition, and every difference with an example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from noskew.cli.render.styled_table import new_table
from noskew.registry.records.certificate import Certificate

_MOST = 6


def certificates_table(certificates: Sequence[Certificate]) -> Table:
    """Each definition, what it was run on, and what came of it."""
    numbers = ("real rows", "made up", "paths", "seconds")
    table = new_table("Certificates", "definition", *numbers, "", numbers=numbers)
    for c in certificates:
        taken = sum(not p.skipped for p in c.paths)
        table.add_row(
            c.name,
            f"{c.sample_rows:,}",
            f"{c.made_up_rows:,}",
            str(taken),
            f"{c.seconds:.1f}",
            Text("✓ equal", "green") if c.is_equal else Text("✗ values differ", "red"),
        )
    return table


def details(certificates: Sequence[Certificate]) -> Iterator[RenderableType]:
    """What somebody should look at: differences, then rows that fail and samples not there."""
    for c in certificates:
        if not c.is_equal:
            yield _differences(c)
    for c in certificates:
        if c.failing_rows:
            yield Text.assemble(
                ("note ", "yellow"),
                (c.name, "bold"),
                f": {c.failing_rows} of {c.sample_rows + c.made_up_rows} rows make it fail, on "
                f"every path; an ingest stops at such a row, a stream quarantines it. {c.failure}",
            )
        if c.kind == "feature_view" and not c.sample_rows:
            yield Text.assemble(
                ("note ", "yellow"),
                (c.name, "bold"),
                f": run on rows made up only, since {c.no_sample}",
            )


def _differences(c: Certificate) -> Panel:
    body = Text.assemble((c.cause, "bold"), "\n")
    for d in c.differences[:_MOST]:
        what = f"{d.column!r} of " if d.column else ""
        rows = f"{d.rows:,} row{'s' * (d.rows != 1)}"
        body.append(f"\n{d.path}: {what}{rows}\n", style="red")
        width = max(map(len, d.example))
        for side, value in d.example.items():
            body.append(f"  {side:{width}}  {value}\n", style="dim" if side == "row" else "")
    if len(c.differences) > _MOST:
        body.append(f"\n… {len(c.differences)} differences in all (--json shows them)")
    return Panel(
        body, title=f"[b]{c.name}[/b]: not certified", title_align="left", border_style="red"
    )
