"""A benchmark runs the sections that were named, and says what it could not measure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.__main__ import unmeasured
from bench.result import Result
from bench.sections import QUICK, SECTIONS, Size, measure, named


def works(size: Size) -> Iterator[Result]:
    yield Result("works", float(size.runs), "s")


def lacks(size: Size) -> Iterator[Result]:
    yield Result("lacks.1x50", None, "req/s", skipped="wrk is not installed")


def breaks(size: Size) -> Iterator[Result]:
    yield Result("breaks.first", 1.0, "s")
    raise RuntimeError("no room")


def test_what_was_not_measured_is_named_and_the_rest_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = list(measure({"breaks": breaks, "lacks": lacks, "works": works}, QUICK))
    assert [r.name for r in results] == ["breaks.first", "breaks", "lacks.1x50", "works"]
    assert unmeasured(results) == [
        "breaks (failed: no room)",
        "lacks.1x50 (wrk is not installed)",
    ]
    assert "RuntimeError: no room" in capsys.readouterr().err


def test_nothing_is_named_where_all_was_measured() -> None:
    assert unmeasured(measure({"works": works}, QUICK)) == []


def test_a_name_means_a_section_or_a_figure_of_it() -> None:
    assert list(named(SECTIONS, ["http"])) == ["http"]
    assert list(named(SECTIONS, ["stream.recovery", "online"])) == ["online", "stream"]
    assert list(named(SECTIONS, [])) == list(SECTIONS)
    assert named(SECTIONS, ["httpd"]) == {}
