"""The code cites the specification by section; the sections are there."""

from __future__ import annotations

import re

from tests.docs.pages import REPOSITORY


def test_every_section_that_the_code_cites_is_in_the_specification() -> None:
    page = (REPOSITORY / "docs" / "specification.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^## (\d+)\. ", page, re.M))
    assert sections == {str(n) for n in range(1, 11)}
    cited = {
        number
        for room in ("src", "tests")
        for file in (REPOSITORY / room).rglob("*.py")
        for first, last in re.findall(
            r"SPEC §(\d+)(?: (?:to|and) §(\d+))?", file.read_text("utf-8")
        )
        for number in (first, last)
        if number
    }
    assert {"3", "4", "5", "7", "9"} <= cited <= sections
