"""The demo: the way of real flights through the whole of noskew."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from types import ModuleType

from rich.panel import Panel

from noskew.cli.console import out
from noskew.cli.demo import lesson, project, proof, stream, teams
from noskew.cli.demo.stage import Stage, say, show
from noskew.cli.filling import run_ingest
from noskew.cli.render import details, plan_text
from noskew.cli.render.styled_table import new_table
from noskew.clock import FixedClock, SystemClock, to_text
from noskew.feature_store import FeatureStore

#: January and half of February; enough for the whole way, in seconds.
_FAST_FLIGHTS = 40_000


def run(directory: Path, *, fast: bool = False) -> None:
    """Make the flights project in ``directory`` and walk through it.

    Raises ConfigError if the directory has other files, MissingExtraError without the ``demo``
    extra, and CorruptDataError if a served value is not the one that a model was trained on.
    """
    started = perf_counter()
    root = directory.resolve()
    out.print(
        Panel(
            "Will a flight arrive 15 minutes late? Asked an hour before it leaves New York.\n"
            f"{'40,000 of the ' if fast else ''}336,776 real flights of 2013, the weather, the "
            f"aircraft. No network is used.",
            title="[b]noskew[/b]: what is served is what was trained on",
            border_style="cyan",
        )
    )
    again = project.make(root)
    say(
        f"The project is in [b]{directory}[/b]"
        + (
            ", from an earlier demo; its stores start empty."
            if again
            else ": read it, change it, run it again."
        )
    )
    clock = FixedClock(SystemClock().now())
    with FeatureStore(root, clock=clock) as store:
        stage = Stage(root, store, clock)
        prepare, train = project.script(root, "prepare"), project.script(root, "train")
        with stage.chapter("Data with two clocks"):
            _data(stage, prepare, fast=fast)
        with stage.chapter("Definitions of four teams: plan, certify, apply"):
            _define(stage)
        with stage.chapter("Ingest"):
            say("Events go into Iceberg tables, one commit a file; run it twice, nothing is twice.")
            run_ingest(store, console=out)
        with stage.chapter("Train: leaky and honest"):
            questions = train.questions(root / "data")
            lesson.teach(stage, train, questions)
        with stage.chapter("Materialize, and prove it"):
            say("The clock goes back to three moments. At each, the online store is brought up to")
            say(
                'what was known then, and its answers are compared with known_at="row", bit by bit.'
            )
            chosen = proof.moments(train, questions)
            expected = proof.in_process(stage, train, chosen)
        with stage.chapter("Serve over HTTP"):
            proof.over_http(stage, train, chosen[-1], expected)
        with stage.chapter("Stream, and prove it"):
            stream.replay(root)
        at = chosen[-1].t
    _end(stage, directory, at, perf_counter() - started)


def _data(stage: Stage, prepare: ModuleType, *, fast: bool) -> None:
    counts = prepare.prepare(stage.root / "data", rows=_FAST_FLIGHTS if fast else None)
    import pyarrow.parquet as pq

    flight = pq.read_table(stage.root / "data" / "flights.parquet").slice(0, 1).to_pylist()[0]
    say("Parquet in data/: " + ", ".join(f"{name} {rows:,} rows" for name, rows in counts.items()))
    say(
        f"A flight happens when it is scheduled to leave; its delay is known when it is there.\n"
        f"{flight['carrier']} {flight['flight']}, {flight['origin']} → {flight['dest']}: happened "
        f"[b]{flight['scheduled_at']:%d %b %H:%M}[/b] UTC, known [b]{flight['reported_at']:%H:%M}"
        f"[/b] UTC, {flight['arr_delay']:.0f} minutes late."
    )


def _define(stage: Stage) -> None:
    plan = stage.store.plan()
    for line in plan_text.lines(plan):
        if not line.plain.startswith("    "):
            out.print(line)
    with out.status("certifying") as status:
        stage.store.apply(
            base_version=plan.base_version,
            message="noskew demo",
            progress=lambda name, path: status.update(f"certifying [b]{name}[/b]: {path}"),
        )
    say(
        "\nFour teams wrote these views, each in what it knows, and one model reads them all. Each"
        "\nwas certified before it was applied: run on rows of its data and on rows made up to be"
        "\ndifficult, all at once, one at a time, shuffled, then trained on, read and served. Equal"
        "\nbits on every path, or it is refused."
    )
    show(teams.teams_table(stage.store))
    view = stage.store.applied.project.view("airport_delays")
    say("\nOne of the views, and what its features look back on ([dim]noskew show[/dim]):\n")
    out.print(details.windows(view))


def _end(stage: Stage, directory: Path, at: int, total: float) -> None:
    with stage.chapter("That was all of it"):
        table = new_table("", "part", "time", numbers=("time",))
        for title, seconds in stage.seconds.items():
            table.add_row(title, f"{seconds:.1f} s")
        table.add_row("[b]in all[/b]", f"[b]{total:.1f} s[/b]")
        show(table)
    now = to_text(at)
    flight = "origin=JFK dest=LAX carrier=DL tailnum=N701TW runway_heading=134"
    commands = [
        (f"cd {directory}", ""),
        ("noskew list", "what there is"),
        ("noskew show delay_model", "its features, where they come from, code that reads them"),
        (f"noskew get delay_model {flight} scheduled_minutes=380 --at {now}", "one flight"),
        (f"noskew serve --at {now}", "the same over HTTP; its pages are at /docs"),
        ("noskew -C stream stream verify arrivals", "streamed rows, computed anew from their log"),
        ("noskew verify", "every view on every path, with more rows than apply takes"),
        ("$EDITOR features/fleet.py && noskew plan", "what would your change break?"),
        ("noskew init ../mine", "a project of your own"),
    ]
    lines = [f"[b]{c}[/b]" + (f"\n    [dim]{why}[/dim]" if why else "") for c, why in commands]
    out.print(Panel("\n".join(lines), title="Try next", title_align="left", border_style="cyan"))
