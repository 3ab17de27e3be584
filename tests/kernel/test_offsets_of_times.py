"""Texts of one time: frames and single values read the same spellings of its offset."""

from __future__ import annotations

import pyarrow as pa
import pytest

from noskew import clock
from noskew.errors import InputError, SchemaMismatchError
from noskew.kernel.conform import _timestamps

TIME = pa.timestamp("us", "UTC")
SPELLINGS = ["Z", "z", "+00", "-00", "+0000", "+00:00", "Z "]


@pytest.mark.parametrize(
    "start", ["2025-05-02 00:00:00", "2025-05-02T00:00", "2025-05-02T00:00:00.0"]
)
@pytest.mark.parametrize("end", SPELLINGS)
def test_an_offset_may_be_spelled_so(start: str, end: str) -> None:
    column = _timestamps(pa.chunked_array([[start + end, None]]), TIME, "v")
    assert column.cast(pa.int64()).to_pylist() == [1746144000000000, None]
    if start != "2025-05-02T00:00:00.0":  # Python 3.11 takes three or six digits of a second.
        assert clock.to_micros(start + end) == 1746144000000000


@pytest.mark.parametrize("text", ["2025-05-02", "2025-05-02 00:00:00", "2025-05-02T00:00"])
def test_a_day_of_the_month_is_no_offset(text: str) -> None:
    with pytest.raises(SchemaMismatchError, match="has no offset"):
        _timestamps(pa.chunked_array([[text]]), TIME, "v")
    with pytest.raises(InputError, match="has no offset"):
        clock.to_micros(text)
