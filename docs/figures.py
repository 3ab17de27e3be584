"""The tables of measured figures, made from the benchmark runs on record.

    python -m docs.figures

Reads ``bench/results/runs`` (made by ``make bench``) and rewrites what stands between the marks:
the figures in README.md, and how each was measured in docs/performance.md. Without a run README
says how to make one. `make docs` does this too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import record
from bench.figure import Figure, of_runs
from bench.record import Run
from bench.targets import TARGETS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PERFORMANCE = ROOT / "docs" / "performance.md"
START = "<!-- figures: made by docs/figures.py, do not edit -->"
END = "<!-- figures end -->"
ABSENT = "*No figures are recorded in this checkout. `make bench` measures them on your machine.*"
#: What the names of the benchmarks mean. Those that are not listed stay out of README.
TITLES = {
    "online.lmdb.1x50": "read in process, LMDB: 1 row × 50 features",
    "online.lmdb.1000x50": "read in process, LMDB: 1,000 rows × 50 features",
    "online.redis.1x50": "read in process, Redis: 1 row × 50 features",
    "online.redis.1000x50": "read in process, Redis: 1,000 rows × 50 features",
    "on_demand.sql.1x10": "ten on-demand functions in SQL, added to a read of 1 row",
    "on_demand.sql.1000x10": "ten on-demand functions in SQL, added to a read of 1,000 rows",
    "http.1x50": "HTTP, one worker, LMDB, JSON: 1 row × 50 features",
    "http.100x50": "HTTP, one worker, LMDB, JSON: 100 rows × 50 features",
    "audit.1x50": "HTTP, 1 row, with answers kept for the audit, beside without",
    "audit.100x50": "HTTP, 100 rows, with answers kept for the audit, beside without",
    "transform.sql": "a SELECT over 10 million rows of a Parquet file, as an ingest runs it",
    "certify.10": "certify a view of 10 features",
    "historical.latest.100k": "training set, latest values: 100 thousand rows",
    "historical.latest.1m": "training set, latest values: 1 million rows",
    "historical.windows.100k": "training set, windows: 100 thousand rows",
    "historical.windows.1m": "training set, windows: 1 million rows",
    "spark.latest.1m": "Spark, latest values: 1 million rows, beside one process",
    "spark.windows.1m": "Spark, windows: 1 million rows, beside one process",
    "spark.cores": "Spark, windows: 5 million rows, one core over two",
    "materialize.lmdb.1m": "materialize 1 million rows to LMDB",
    "materialize.redis.1m": "materialize 1 million rows to Redis",
    "stream.local.lmdb": "stream: local log to LMDB",
    "stream.kafka.redis": "stream: Kafka (JSON) to Redis",
    "stream.freshness.p99": "stream, 100,000 events/s: from append to readable over HTTP, 99 %",
    "stream.freshness.reads.p99": "stream, 100,000 events/s: reads over HTTP meanwhile, 99 %",
    "stream.recovery": "stream: `kill -9` with 1 million rows, until fresh again",
    "stream.soak.memory": "stream, 10 minutes at 100,000 events/s: growth of memory",
    "bytes_per_feature.10": "Redis memory a float64 feature, 10 features a view",
    "bytes_per_feature.50": "Redis memory a float64 feature, 50 features a view",
    "size.serve.ready": "2,000 views × 1,000 services: a server is ready",
    "size.serve.memory": "2,000 views × 1,000 services: memory of a worker",
    "size.serve.takeover": "2,000 views × 1,000 services: a server takes over an apply, work",
    "size.serve.takeover.p99": "2,000 views × 1,000 services: reads meanwhile, 99 %, over before",
    "size.cli.list": "2,000 views × 1,000 services: `noskew list services`",
    "size.cli.show": "2,000 views × 1,000 services: `noskew show` of a service",
    "size.cli.get": "2,000 views × 1,000 services: `noskew get` of a row",
    "size.plan.one": "2,000 views × 1,000 services: plan a change of one view",
    "size.apply.one": "2,000 views × 1,000 services: apply a change of one view",
    "size.apply.all": "2,000 views × 1,000 services: apply all",
    "size.ingest.view": "2,000 views: ingest of 10,000 events, a view",
    "size.materialize.view": "2,000 views: materialize 10,000 events, a view",
    "cli.list": "a handful of views: `noskew list services`",
    "cli.show": "a handful of views: `noskew show` of a service",
    "cli.get": "a handful of views: `noskew get` of a row",
    "import": "`import noskew`",
    "import.store": "`import noskew` and a `FeatureStore`",
}
_HEAD = """\
| what | noskew | bare library | of the bare library's time | target | Feast |
|---|---:|---:|---:|---|---:|"""
_SETUP_HEAD = """\
| what | set-up |
|---|---|"""


def table(figures: Mapping[str, Figure]) -> str:
    """The figures as a Markdown table, in the order of :data:`TITLES`; what is not there is "–"."""
    rows = [_row(title, figures[name]) for name, title in TITLES.items() if name in figures]
    return "\n".join([_HEAD, *rows]) if rows else ABSENT


def setups(figures: Mapping[str, Figure]) -> str:
    """How each figure of :func:`table` was measured, as a Markdown table."""
    rows = [
        _cells(title, figures[name].newest.setup or "–")
        for name, title in TITLES.items()
        if name in figures
    ]
    return "\n".join([_SETUP_HEAD, *rows]) if rows else ABSENT


def provenance(runs: Sequence[Run]) -> str:
    """A sentence: how many runs the figures are of, from when, and on what."""
    days = sorted({run.at.partition("T")[0] for run in runs})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    machines = sorted({_machine(run) for run in runs})
    count = "One run" if len(runs) == 1 else f"Medians of {len(runs)} runs, with their ranges"
    return f"{count}, {when}, on {' and on '.join(machines)}."


def pages() -> dict[Path, str]:
    """The pages that have figures, as this checkout's record wants them."""
    runs = record.runs()
    figures = of_runs(runs)
    text = f"{provenance(runs)}\n\n{table(figures)}" if runs else ABSENT
    return {
        README: with_figures(README.read_text(encoding="utf-8"), text),
        PERFORMANCE: with_figures(PERFORMANCE.read_text(encoding="utf-8"), setups(figures)),
    }


def with_figures(page: str, figures: str) -> str:
    """A page with figures between its marks. Raises ValueError if a mark is not there."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"the page needs the lines {START!r} and {END!r}")
    return f"{before}{START}\n{figures}\n{END}{after}"


def _row(title: str, figure: Figure) -> str:
    skipped = figure.newest.skipped
    value = skipped or figure.value()
    return _cells(
        title, value, figure.limit(), figure.ratio(), _target(figure), figure.peer("feast")
    )


def _target(figure: Figure) -> str:
    targets = TARGETS.get(figure.newest.name, ())
    if not targets:
        return "–"
    met = {True: "met", False: "**missed**", None: "–"}[figure.met()]
    return f"{'; '.join(target.text(figure.newest.unit) for target in targets)}: {met}"


def _machine(run: Run) -> str:
    about = run.machine
    processor = about["processor"] or "a processor that was not noted"
    python = f", Python {about['python']}" if about["python"] else ""
    return f"{processor}, {about['cores']} cores{python}"


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    for path, page in pages().items():
        changed = page != path.read_text(encoding="utf-8")
        if changed:
            path.write_text(page, encoding="utf-8")
        print(f"{path.name}: figures {'written' if changed else 'as they were'}")


if __name__ == "__main__":
    main()
