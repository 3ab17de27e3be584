"""The chapters on serving: what is served equals what a model was trained on, to the bit."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Any

import pyarrow as pa

from noskew.cli import totals
from noskew.cli.console import out
from noskew.cli.demo.bits import require_equal
from noskew.cli.demo.server import running
from noskew.cli.demo.stage import Stage, say, show
from noskew.cli.progress import Bars
from noskew.cli.render.styled_table import new_table
from noskew.client import Client
from noskew.clock import duration_micros, to_micros, to_text
from noskew.kernel.bits import differences

#: Before the end of the data: on the edge of a day, on no edge at all, and of an hour.
_MOMENTS_BEFORE_END = ("20d", "15d7h11m13s271828us", "11d9h")
_QUESTIONS_AHEAD = ("1d", "1d", "3d")
_SINGLE_READS = 300
#: Features of one flight that are shown.
_SHOWN = (
    "airport_delay_6h",
    "carrier_delay_6h",
    "plane_last_delay",
    "wind_speed",
    "crosswind",
    "schedule_slack",
)


@dataclass(frozen=True)
class Moment:
    """A time, and rows of flights soon after it that are asked about at that time."""

    t: int
    rows: pa.Table

    @property
    def asked(self) -> pa.Table:
        """The rows without their time: what a caller of the online store sends."""
        return self.rows.drop_columns(["event_timestamp"])


def moments(train: ModuleType, questions: Any) -> list[Moment]:
    """Moments near the end of the data, in order, with the flights of the days after each."""
    end = to_micros(questions["event_timestamp"].max().normalize().to_pydatetime())
    moments = []
    for before, ahead in zip(_MOMENTS_BEFORE_END, _QUESTIONS_AHEAD, strict=True):
        t = end - duration_micros(before)
        asked = questions["event_timestamp"].astype("int64")
        soon = questions[(asked >= t) & (asked < t + duration_micros(ahead))]
        rows = pa.Table.from_pandas(soon[[*train.KEYS, *train.REQUEST]], preserve_index=False)
        times = pa.array([t] * len(rows), pa.timestamp("us", "UTC"))
        rows = rows.replace_schema_metadata(None).append_column("event_timestamp", times)
        moments.append(Moment(t, rows))
    return moments


def in_process(stage: Stage, train: ModuleType, chosen: list[Moment]) -> pa.Table:
    """Materialize up to each moment and read its rows there; compare with a training set.

    Returns what a training set says about the last moment. Raises CorruptDataError if one value
    differs.
    """
    rows = pa.concat_tables([m.rows for m in chosen])
    taught = stage.store.get_historical_features(rows, train.SERVICE, known_at="row").to_arrow()
    names = [n for n in taught.column_names if n not in rows.column_names]
    table = new_table(
        "",
        "as of",
        "entities written",
        "time",
        "rows read",
        "time",
        "values",
        "differ",
        numbers=("entities written", "time", "rows read", "values", "differ"),
    )
    start = 0
    for moment in chosen:
        stage.clock.set(moment.t)
        expected_rows = totals.of_materialize(stage.store, None)
        with Bars(expected_rows, console=out, transient=True) as bars:
            done = stage.store.materialize(progress=bars)
        began = perf_counter()
        served = stage.store.get_online_features(train.SERVICE, moment.asked).to_arrow()
        took = perf_counter() - began
        expected = taught.slice(start, len(moment.rows)).select(names)
        differing = differences(expected, served)
        table.add_row(
            to_text(moment.t),
            f"{sum(d.changed for d in done):,}",
            f"{bars.seconds:.1f} s",
            f"{len(served):,}",
            f"{took * 1e3:,.0f} ms",
            f"{len(served) * len(names):,}",
            f"[red]{sum(differing.values()):,}[/red]" if differing else "[green]0[/green]",
        )
        require_equal(differing, to_text(moment.t))
        start += len(moment.rows)
    show(table)
    return taught.slice(start - len(chosen[-1].rows)).select(names)


def over_http(stage: Stage, train: ModuleType, moment: Moment, expected: pa.Table) -> None:
    """Start ``noskew serve``, ask it about the same rows, and compare again."""
    import httpx

    at = to_text(moment.t)
    say(f"[dim]$ noskew serve --at {at}[/dim]")
    began = perf_counter()
    with running(stage.root, at) as url, httpx.Client(trust_env=False, timeout=30.0) as client:
        say(f"ready after {perf_counter() - began:.1f} s at {url}")
        address = f"{url}/features/{train.SERVICE}"
        _one(client, address, moment.asked.slice(_telling(expected), 1).to_pydict())
        with Client(url, timeout_s=30.0) as reader:
            began = perf_counter()
            answer = reader.get_online_features(train.SERVICE, moment.asked)
            took = perf_counter() - began
        served = answer.to_arrow()
        differing = differences(expected, served)
        require_equal(differing, "HTTP")
        say(
            f"\nnoskew.Client: {len(served):,} rows × {served.num_columns} features as Arrow in "
            f"{took * 1e3:,.0f} ms; [green]0 of {len(served) * served.num_columns:,} values "
            f"differ[/green] from the training set."
        )


def _telling(expected: pa.Table) -> int:
    """The first row of which every feature that is shown has a value; else the first."""
    shown = expected.select(_SHOWN).to_pylist()
    return next((i for i, row in enumerate(shown) if all(row.values())), 0)


def _one(client: Any, address: str, row: dict[str, list[Any]]) -> None:
    """One flight, as JSON: asked for many times for the latency, then shown."""
    times = []
    for _ in range(_SINGLE_READS):
        began = perf_counter()
        answer = client.post(address, json={"rows": row})
        times.append(perf_counter() - began)
        answer.raise_for_status()
    shown = ", ".join(f"{name}={values[0]}" for name, values in row.items())
    out.print(f"[dim]POST {address} for {shown}[/dim]", soft_wrap=True)
    data = answer.json()
    table = new_table("", "feature", "value", "status", numbers=("value",))
    for name in _SHOWN:
        value, status = data["features"][name][0], data["statuses"][name]
        table.add_row(
            name,
            "null" if value is None else f"{value:.3f}",
            status if isinstance(status, str) else status[0],
        )
    show(table)
    say(
        f"one flight as JSON, {len(data['features'])} features: "
        f"[cyan]{median(times) * 1e3:.2f} ms[/cyan] there and back (median of {_SINGLE_READS})"
    )
