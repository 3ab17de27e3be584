"""init: a small project that runs at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noskew.cli import starter_data, templates
from noskew.cli.console import out
from noskew.clock import SystemClock

_NEXT = {
    "noskew plan": "what would be applied",
    "noskew apply": "make it so",
    "noskew backfill": "read data/, fill the offline and the online store",
    "noskew get checkout customer=c000 basket=30": "features of a customer, now",
    "noskew historical checkout data/questions.parquet -o training.parquet --known-at row": (
        "a training set"
    ),
}


def init(
    directory: Annotated[
        Path, typer.Argument(help="Where; it must be absent or empty.", metavar="[DIR]")
    ] = Path(),
) -> None:
    """Start a project: a configuration, feature definitions, a little data, a README."""
    templates.copy("starter", directory)
    starter_data.write(directory / "data", now=SystemClock().now())
    out.print(f"[green]Made a project[/green] in {directory.resolve()}\n")
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        out.print(f"  {path.relative_to(directory)}")
    out.print("\nNext:\n")
    if directory.resolve() != Path.cwd():
        out.print(f"  [b]cd {directory}[/b]")
    width = max(map(len, _NEXT))
    for command, why in _NEXT.items():
        out.print(f"  [b]{command:<{width}}[/b]   [dim]{why}[/dim]", soft_wrap=True)
