"""serve: the HTTP server of a project."""

from __future__ import annotations

from typing import Annotated

import typer

from noskew.cli.console import err, session
from noskew.cli.past_time import At, check_at
from noskew.serving import server


def serve(
    ctx: typer.Context,
    *,
    host: Annotated[str | None, typer.Option(help="Default: noskew.toml, else loopback.")] = None,
    port: Annotated[int | None, typer.Option(help="Default: noskew.toml, else 6580.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow an address that others can reach.")
    ] = False,
    at: At = None,
) -> None:
    """Serve features over HTTP. Ctrl-C, or SIGTERM, finishes running requests and stops."""
    with session(ctx).store(at=at) as store:
        check_at(store, store.applied.project.services.values(), at)
        root, settings = store.root, store.config.serve
    shown = f"http://{host or settings.host}:{settings.port if port is None else port}"
    err.print(f"serving [b]{shown}[/b] (its pages: {shown}/docs); Ctrl-C stops it")
    server.serve(root=root, host=host, port=port, workers=workers, insecure=insecure, at=at)
