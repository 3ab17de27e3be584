"""verify: does every path give a definition's values, bit for bit?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from noskew.cli.console import err, out, session
from noskew.cli.render.certificates import certificates_table, details
from noskew.cli.warmth import tell_if_cold


def verify(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Views and on-demand functions; default: all in the project's files."),
    ] = None,
    *,
    sample: Annotated[
        int, typer.Option("--sample", min=0, help="Rows of each source's own data to run.")
    ] = 2_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the certificates as JSON.")
    ] = False,
) -> None:
    """Certify definitions: run each on every path and compare the values, bit for bit.

    On rows of its source and on rows made up to be difficult: all at once, in small batches, one
    at a time, shuffled, in another process; then as training sets, online rows, HTTP answers and
    streams. The certificates are kept, and apply asks for them. Exit code 1 if values differ.
    """
    tell_if_cold()
    with session(ctx).store() as store, err.status("reading the definitions") as status:
        certificates = store.verify(
            names or None,
            sample=sample,
            progress=lambda name, path: status.update(f"[b]{name}[/b]: {path}"),
        )
    if as_json:
        out.print_json(data=[asdict(c) for c in certificates])
    else:
        out.print(certificates_table(certificates))
        for part in details(certificates):
            out.print(part)
    bad = sum(not c.is_equal for c in certificates)
    if bad:
        err.print(f"[red]{bad} of {len(certificates)} definitions are not certified.[/red]")
        raise typer.Exit(1)
    err.print(f"[green]Every path gives the same values:[/green] {len(certificates)} certified.")
