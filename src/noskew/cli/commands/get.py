"""get: the features of a service, now."""

from __future__ import annotations

from typing import Annotated

import typer

from noskew.cli.console import err, out, session
from noskew.cli.past_time import At, check_at
from noskew.cli.render.answers import answer_table, as_json_text
from noskew.cli.values import columns_from_text
from noskew.cli.warmth import tell_if_cold
from noskew.clock import to_text


def get(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(help="A feature service.")],
    values: Annotated[
        list[str] | None,
        typer.Argument(help="Join keys and request fields: origin=JFK, or origin=JFK,EWR."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    at: At = None,
) -> None:
    """Read the features of a service from the online store."""
    tell_if_cold()
    with session(ctx).store(at=at) as store:
        chosen = store.applied.project.service(service)
        check_at(store, [chosen], at)
        rows = columns_from_text(values or [], {**chosen.join_keys, **chosen.request})
        answer = store.get_online_features(service, rows)
        if as_json:
            out.print(as_json_text(answer), soft_wrap=True, markup=False)
        else:
            err.print(f"[dim]as of {to_text(answer.t)}[/dim]")
            out.print(answer_table(answer, list(rows)))
