"""get and serve: reading features now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noskew.cli.console import err, out, session
from noskew.clock import to_text
from noskew.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from noskew.definitions.service import FeatureService
    from noskew.feature_store import FeatureStore
    from noskew.reading.response import OnlineResponse

_LOOK = {
    "PRESENT": "green",
    "NULL": "dim",
    "MISSING": "yellow",
    "EXPIRED": "yellow",
    "STALE": "magenta",
    "MASKED": "red",
}
#: Rows that stand side by side as columns of a table; more are listed one a line.
_SIDE_BY_SIDE = 4
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Answer as of this time instead of now."),
]


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
    from noskew.cli.values import columns_from_text
    from noskew.cli.warmth import tell_if_cold

    tell_if_cold()
    with session(ctx).store(at=at) as store:
        chosen = store.applied.project.service(service)
        _check_at(store, [chosen], at)
        rows = columns_from_text(values or [], {**chosen.join_keys, **chosen.request})
        answer = store.get_online_features(service, rows)
        if as_json:
            out.print(_json(answer), soft_wrap=True, markup=False)
        else:
            out.print(_table(answer, list(rows)))


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
    from noskew.serving.server import serve as run

    with session(ctx).store(at=at) as store:
        _check_at(store, store.applied.project.services.values(), at)
        root, settings = store.root, store.config.serve
    shown = f"http://{host or settings.host}:{settings.port if port is None else port}"
    err.print(f"serving [b]{shown}[/b] (its pages: {shown}/docs); Ctrl-C stops it")
    run(root=root, host=host, port=port, workers=workers, insecure=insecure, at=at)


def _check_at(store: FeatureStore, services: Iterable[FeatureService], at: str | None) -> None:
    """Refuse a time whose state the online store no longer has.

    A row is the state of the facts known by the last materialization; what had already left its
    windows by then is not in it.
    """
    if at is None:
        return
    for view in {v.name: v for s in services for v in s.views if v.online}.values():
        until = store.materialized_until(view)
        if until is not None and until > store.clock.now():
            raise InputError(
                f"{view.name} is online with facts known by {to_text(until)}, later than "
                f"--at {at}: the online store keeps the newest state only. Ask as of a later "
                f"time, or read the past from the offline store with noskew historical"
            )


def _json(answer: OnlineResponse) -> str:
    import orjson

    data = {
        "t": to_text(answer.t),
        "values": answer.to_dict(),
        "statuses": answer.statuses(),
        "event_times": answer.event_times(),
    }
    option = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
    return orjson.dumps(data, option=option, default=_plain).decode()


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


def _table(answer: OnlineResponse, given: list[str]) -> Table:
    from noskew.cli.render.listing import new_table

    values, statuses = answer.to_dict(), answer.statuses()
    err.print(f"[dim]as of {to_text(answer.t)}[/dim]")
    rows = range(len(answer))
    if len(answer) <= _SIDE_BY_SIDE:
        heads = ["\n".join(f"{k}={values[k][i]}" for k in given) for i in rows]
        made = new_table(answer.service_name, "feature", *heads)
        for name in answer.feature_names:
            made.add_row(name, *(_cell(values[name][i], statuses[name][i]) for i in rows))
        return made
    made = new_table(answer.service_name, *given, *answer.feature_names)
    for i in rows:
        cells = [_cell(values[n][i], statuses[n][i]) for n in answer.feature_names]
        made.add_row(*(str(values[k][i]) for k in given), *cells)
    return made


def _cell(value: Any, status: str) -> str:
    if isinstance(value, float):
        shown = f"{value:.6g}"
    elif isinstance(value, list) and len(value) > 6:
        shown = f"[{', '.join(map(str, value[:5]))}, … {len(value)} items]"
    else:
        shown = "" if value is None else str(value)
    from rich.markup import escape

    mark = "" if status == "PRESENT" else f"[{_LOOK[status]}]{status}[/{_LOOK[status]}]"
    return f"{escape(shown)} {mark}".strip()
