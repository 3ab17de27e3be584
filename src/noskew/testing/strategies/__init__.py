"""Hypothesis strategies for views, facts and rows, and what compares a path with the reference.

>>> from hypothesis import given
>>> from noskew.testing.reference import historical
>>> @given(cases())
... def test_my_path(case: Case) -> None:
...     facts = facts_to_table(case.view, case.facts)
...     answer = my_path(case.view, facts, rows_to_table(case.view, case.rows))
...     expected = historical(case.view, case.facts, case.rows)
...     assert_same(expected, answer, case.view, rows=case.rows, facts=case.facts)

Times, keys and values come from small pools that are drawn anew for each example, so ties,
duplicates, window edges and extremes are the rule.
"""

from __future__ import annotations

from noskew.testing.strategies.case import Case, cases
from noskew.testing.strategies.column_values import values
from noskew.testing.strategies.comparison import assert_same
from noskew.testing.strategies.entities import ENTITIES
from noskew.testing.strategies.facts_and_rows import facts, known_ats, rows
from noskew.testing.strategies.feature_views import COLUMNS, EVENT_ID, views
from noskew.testing.strategies.tables import (
    EVENT_TIME,
    KNOWN_TIME,
    SEQUENCE,
    facts_to_table,
    rows_to_table,
)

__all__ = [
    "COLUMNS",
    "ENTITIES",
    "EVENT_ID",
    "EVENT_TIME",
    "KNOWN_TIME",
    "SEQUENCE",
    "Case",
    "assert_same",
    "cases",
    "facts",
    "facts_to_table",
    "known_ats",
    "rows",
    "rows_to_table",
    "values",
    "views",
]
