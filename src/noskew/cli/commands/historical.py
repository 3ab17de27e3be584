"""historical: a training set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noskew.cli.console import out, session
from noskew.cli.csv_rows import csv_rows, is_csv
from noskew.cli.progress import Bars
from noskew.cli.runner_option import Runner
from noskew.cli.warmth import tell_if_cold
from noskew.definitions.connectors import Csv
from noskew.training.frames import to_arrow


def historical(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(help="A feature service.")],
    rows: Annotated[
        str,
        typer.Argument(help="A Parquet or CSV file, or a SELECT on DuckDB, with keys and times."),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The Parquet file to write.")],
    known_at: Annotated[
        str | None,
        typer.Option(
            metavar="row|TIME",
            help="'row': what could have been served then; a time: what was known on that date; "
            "default: all that is known now.",
        ),
    ] = None,
    event_time: Annotated[
        str, typer.Option(help="The column with the time of each row.")
    ] = "event_timestamp",
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Where the clock of a CSV file was, such as UTC."),
    ] = None,
    timestamp_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="Of times in a CSV file: '%d/%m/%Y %H:%M'."),
    ] = None,
    save: Annotated[
        str | None, typer.Option(metavar="NAME", help="Keep it in the registry, to be rebuilt.")
    ] = None,
    runner: Runner = None,
) -> None:
    """Make a training set: the features of a service as of each row's own time."""
    tell_if_cold()
    with session(ctx).store() as store:
        chosen = store.applied.project.service(service)
        if is_csv(rows):
            csv = Csv(rows, timezone=timezone, timestamp_format=timestamp_format)
            asked = csv_rows(csv, chosen, event_time)
        else:
            asked = to_arrow(rows)
        with Bars({service: len(asked) * len(chosen.views)}) as bars:
            training_set = store.get_historical_features(
                asked,
                service,
                known_at=known_at,
                event_time=event_time,
                progress=bars,
                runner=runner,
            )
        training_set.to_parquet(output)
        if save:
            training_set.save(save)
    bars.rows = len(training_set)
    bars.summary(f"{len(training_set):,} rows × {len(chosen.columns)} features")
    out.print(f"wrote {output}" + (f", saved as {save} ({training_set.digest})" if save else ""))
