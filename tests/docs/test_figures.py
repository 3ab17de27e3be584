"""The figures in README.md are those of the last benchmark, or none."""

from __future__ import annotations

import json

import pytest

from docs import figures

RESULT = {
    "name": "online.lmdb.1x50",
    "value": 2.1e-5,
    "unit": "s",
    "limit": 1.05e-5,
    "ratio_to_limit": 2.0,
    "peers": {"feast": 8.9e-4},
    "setup": "2 cores | LMDB",
    "target": "≤ 25 µs",
    "met": True,
}


def test_readme_has_the_figures_of_this_checkout() -> None:
    readme = figures.README.read_text(encoding="utf-8")
    assert figures.with_figures(readme, figures.current()) == readme, "run `make docs`"


def test_a_result_becomes_a_row() -> None:
    assert figures.table([RESULT]).split("\n")[2] == (
        "| read in process, LMDB: 1 row × 50 features | 21 µs | 10.5 µs | 2.00 × | ≤ 25 µs: met "
        "| 890 µs | 2 cores \\| LMDB |"
    )


def test_a_missed_target_is_told() -> None:
    assert "≤ 25 µs: **missed**" in figures.table([RESULT | {"met": False}])


def test_what_was_not_measured_is_a_dash_or_its_reason() -> None:
    bare = {"name": "import", "value": 0.3, "unit": "s", "limit": None, "ratio_to_limit": None}
    assert figures.table([bare]).endswith("| 300 ms | – | – | – | – | – |")
    skipped = bare | {"value": None, "skipped": "no Redis here"}
    assert "| no Redis here |" in figures.table([skipped])


def test_no_results_give_no_numbers() -> None:
    assert figures.table([]) == figures.ABSENT
    assert not any(c.isdigit() for c in figures.ABSENT)


def test_only_what_stands_between_the_marks_changes() -> None:
    readme = f"before\n{figures.START}\nold\n{figures.END}\nafter\n"
    assert figures.with_figures(readme, "new") == readme.replace("old", "new")
    with pytest.raises(ValueError, match="needs the lines"):
        figures.with_figures("no marks", "new")


@pytest.mark.skipif(not figures.RESULTS.is_file(), reason="no benchmark was run in this checkout")
def test_every_figure_of_the_last_run_is_readable() -> None:
    results = json.loads(figures.RESULTS.read_text(encoding="utf-8"))
    assert len(figures.table(results).split("\n")) > 2
