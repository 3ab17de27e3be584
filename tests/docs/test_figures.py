"""The figures in the pages are those of the benchmark runs on record, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import record
from bench.figure import Figure, of_runs
from bench.record import Run
from bench.result import Result
from docs import figures

RESULT = Result("online.lmdb.1x50", 2.1e-5, "s", 1.05e-5, "2 cores | LMDB", {"feast": 8.9e-4})
TITLE = "read in process, LMDB: 1 row × 50 features"


def row(*results: Result) -> str:
    return figures.table({results[0].name: Figure(results)}).split("\n")[2]


def of_values(*values: float) -> str:
    return row(*(replace(RESULT, value=value) for value in values))


def test_the_pages_have_the_figures_of_this_checkout() -> None:
    for path, page in figures.pages().items():
        assert path.read_text(encoding="utf-8") == page, "run `make docs`"


def test_one_run_becomes_a_row() -> None:
    assert row(RESULT) == f"| {TITLE} | 21 µs | 10.5 µs | 2.00 × | ≤ 25 µs: met | 890 µs |"


def test_several_runs_become_a_median_and_a_range() -> None:
    slow = replace(RESULT, value=4.2e-5, limit=2e-5, peers={})
    fast = replace(RESULT, value=1.05e-5)
    assert row(slow, RESULT, fast) == (
        f"| {TITLE} | 21 µs (10.5–42) | 10.5 µs (10.5–20) | 2.00 × (1.00–2.10) | ≤ 25 µs: met "
        "| 890 µs (890–890) |"
    )


def test_the_median_is_judged_and_not_the_newest_run() -> None:
    assert "≤ 25 µs: met" in of_values(2e-5, 2e-5, 9e-5)
    assert "≤ 25 µs: **missed**" in of_values(3e-5, 3e-5, 1e-6)


def test_a_ratio_to_the_limit_is_judged_by_the_median_of_the_runs_own() -> None:
    # Ratios 3, 1 and 1, although the median value is 3 times the median limit.
    runs = [
        Result("online.redis.1x50", value, "s", limit)
        for value, limit in ((3.0, 1.0), (3.0, 3.0), (1.0, 1.0))
    ]
    assert "| 1.00 × (1.00–3.00) | ≤ 2× limit: met |" in row(*runs)


def test_what_was_not_measured_is_a_dash_or_its_reason() -> None:
    bare = Result("import", 0.3, "s")
    assert row(bare) == "| `import noskew` | 300 ms | – | – | ≤ 500 ms: met | – |"
    skipped = replace(bare, value=None, skipped="no Redis here")
    assert row(skipped) == "| `import noskew` | no Redis here | – | – | ≤ 500 ms: – | – |"


def test_the_set_up_is_that_of_the_newest_run() -> None:
    newest = replace(RESULT, setup="4 cores | LMDB")
    table = figures.setups({RESULT.name: Figure([RESULT, newest])})
    assert table.split("\n")[2] == f"| {TITLE} | 4 cores \\| LMDB |"


def test_no_results_give_no_numbers() -> None:
    assert figures.table({}) == figures.ABSENT
    assert not any(c.isdigit() for c in figures.ABSENT)


def test_the_machines_and_days_of_the_runs_are_said() -> None:
    machine = {"processor": "A9", "cores": 2, "python": "3.12.1", "commit": "abc"}
    runs = [Run(f"2026-12-0{day}T10-00", machine, []) for day in (1, 3)]
    assert figures.provenance(runs[:1]) == "One run, 2026-12-01, on A9, 2 cores, Python 3.12.1."
    assert figures.provenance(runs) == (
        "Medians of 2 runs, with their ranges, 2026-12-01 to 2026-12-03, on A9, 2 cores, "
        "Python 3.12.1."
    )


def test_only_what_stands_between_the_marks_changes() -> None:
    page = f"before\n{figures.START}\nold\n{figures.END}\nafter\n"
    assert figures.with_figures(page, "new") == page.replace("old", "new")
    with pytest.raises(ValueError, match="needs the lines"):
        figures.with_figures("no marks", "new")


@pytest.mark.skipif(not record.runs(), reason="no benchmark was run in this checkout")
def test_every_figure_on_record_is_readable() -> None:
    assert len(figures.table(of_runs(record.runs())).split("\n")) > 2
