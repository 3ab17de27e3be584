"""Cases: a view, its facts and the rows that ask."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from noskew.definitions.view import FeatureView
from noskew.testing.reference import Fact, Row
from noskew.testing.strategies.facts_and_rows import facts, rows
from noskew.testing.strategies.feature_views import feature_views


class Case(NamedTuple):
    """A view, facts in an order of arrival, and rows that ask."""

    view: FeatureView
    facts: list[Fact]
    rows: list[Row]

    def __repr__(self) -> str:
        # Whole, for the report of a failure: a view shows itself in a line.
        return f"Case({self.view.identity()!r}, facts={self.facts!r}, rows={self.rows!r})"


@st.composite
def cases(draw: DrawFn, *, max_facts: int = 20, max_rows: int = 8, retracted: bool = False) -> Case:
    """A view with facts and rows that meet at the edges of its windows.

    ``retracted``: some facts are taken back.
    """
    view = draw(feature_views())
    drawn = draw(facts(view, max_size=max_facts, retracted=retracted))
    return Case(view, drawn, draw(rows(view, drawn, max_size=max_rows)))
