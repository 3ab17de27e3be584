"""--runner: what does the work of a command."""

from __future__ import annotations

from typing import Annotated

import typer

Runner = Annotated[
    str | None,
    typer.Option(metavar="in_process|spark", help="What does the work; default: noskew.toml's."),
]
