"""doctor: is everything there that a project needs, and what to do where it is not."""

from __future__ import annotations

from typing import Annotated

import typer

from noskew.cli.checks import checks
from noskew.cli.console import out, session

_MARKS = {"ok": "[green]✓[/green]", "note": "[yellow]![/yellow]", "bad": "[red]✗[/red]"}


def doctor(
    ctx: typer.Context,
    warm: Annotated[
        bool, typer.Option("--warm", help="Also compile the kernel now, so that nothing waits.")
    ] = False,
) -> None:
    """Check libraries, configuration, definitions, registry, stores, kernel and disk."""
    bad = 0
    for finding in checks(session(ctx), warm=warm):
        out.print(f"{_MARKS[finding.state]} [b]{finding.what}[/b]  ", end="")
        out.print(finding.text, markup=False)
        if finding.advice:
            out.print(f"    → {finding.advice}", markup=False, style="cyan")
        bad += finding.state == "bad"
    if bad:
        out.print(f"\n[red]{bad} thing{'s' * (bad > 1)} to repair.[/red]")
        raise typer.Exit(1)
    out.print("\n[green]All is well.[/green]")
