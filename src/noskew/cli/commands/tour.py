"""demo: the whole of it on real flights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noskew.cli.demo.tour import run


def demo(
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where the project is made.")
    ] = Path("noskew-flights"),
    fast: Annotated[bool, typer.Option("--fast", help="Only the first 40,000 flights.")] = False,
) -> None:
    """A tour on the 336,776 flights that left New York in 2013: define, train, serve, prove."""
    run(directory, fast=fast)
