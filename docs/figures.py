"""The table of measured figures in README.md, made from the last benchmark run.

    python -m docs.figures

Reads ``bench/results/latest.json`` (made by ``make bench``) and rewrites what stands between the
two marks in README.md. Without that file the table says how to make it. `make docs` does this too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
RESULTS = ROOT / "bench" / "results" / "latest.json"
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
    "import": "`import noskew`",
}
_HEAD = """\
| what | noskew | bare library | of the bare library's time | target | Feast | set-up |
|---|---:|---:|---:|---|---:|---|"""


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The figures as a Markdown table, in the order of :data:`TITLES`; what is not there is "–"."""
    by_name = {result["name"]: result for result in results}
    rows = [_row(title, by_name[name]) for name, title in TITLES.items() if name in by_name]
    return "\n".join([_HEAD, *rows]) if rows else ABSENT


def current() -> str:
    """The table for this checkout."""
    if not RESULTS.is_file():
        return ABSENT
    return table(json.loads(RESULTS.read_text(encoding="utf-8")))


def with_figures(readme: str, figures: str) -> str:
    """README with the figures between its marks. Raises ValueError if a mark is not there."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"README.md needs the lines {START!r} and {END!r}")
    return f"{before}{START}\n{figures}\n{END}{after}"


def _row(title: str, result: Mapping[str, Any]) -> str:
    unit = result["unit"]
    ratio = result.get("ratio_to_limit")
    met = {True: "met", False: "**missed**", None: "–"}[result.get("met")]
    target = result.get("target") or ""
    cells = [
        title,
        result.get("skipped") or _shown(result["value"], unit),
        _shown(result.get("limit"), unit),
        "–" if ratio is None else f"{ratio:.2f} ×",
        f"{target}: {met}" if target else "–",
        _shown(result.get("peers", {}).get("feast"), unit),
        result.get("setup") or "–",
    ]
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "s":
        scales = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
        scale, unit = next((pair for pair in scales if value >= pair[0]), scales[-1])
        value /= scale
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def main() -> None:
    before = README.read_text(encoding="utf-8")
    after = with_figures(before, current())
    if after != before:
        README.write_text(after, encoding="utf-8")
    print(f"README.md: figures {'written' if after != before else 'as they were'}")


if __name__ == "__main__":
    main()
