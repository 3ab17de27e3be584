"""History by the kernel equals history by the naive reference, bit for bit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from noskew.testing.reference import historical
from noskew.testing.strategies import Case, assert_same, cases, known_ats
from tests.kernel.paths import answers


@given(cases(), st.data())
def test_history_equals_the_reference(case: Case, data: st.DataObject) -> None:
    known_at = data.draw(known_ats(case.facts), label="known_at")
    expected = historical(case.view, case.facts, case.rows, known_at)
    found = answers(case.view, case.facts, case.rows, known_at)
    assert_same(expected, found, case.view, rows=case.rows, facts=case.facts)
