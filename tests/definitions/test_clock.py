"""Times and durations as people write them."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from noskew.clock import (
    MAX_TIME,
    MIN_TIME,
    duration_micros,
    duration_text,
    given_time,
    to_micros,
    to_text,
)
from noskew.errors import InputError


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("2013-01-01", "2013-01-01T00:00:00Z"),
        ("2013-01-01 12:30", "2013-01-01T12:30:00Z"),
        ("2013-01-01T12:30:00.5", "2013-01-01T12:30:00.500000Z"),
        (" 20130101 ", "2013-01-01T00:00:00Z"),
    ],
)
def test_a_time_without_an_offset_is_refused_with_one_that_is_taken(
    text: str, suggested: str
) -> None:
    with pytest.raises(InputError, match=re.escape(f"write {suggested!r} for UTC")):
        to_micros(text)
    assert to_text(to_micros(suggested)) == suggested


@pytest.mark.parametrize(
    "number", [1746144000, 1746144000000000, 0, 1.5, True, np.int64(5), np.float32(1)]
)
def test_a_number_is_no_time_that_is_given(number: Any) -> None:
    with pytest.raises(InputError, match=r"known_at=.*unit is unknown; give a datetime"):
        given_time(number, "known_at")


def test_given_times() -> None:
    text = "2025-05-02T00:00:00Z"
    for given in (text, datetime(2025, 5, 2), date(2025, 5, 2), pd.Timestamp(text)):
        assert given_time(given, "known_at") == to_micros(text)


@pytest.mark.parametrize("micros", [MIN_TIME, -1, 0, 1, 1_370_088_000_000_000, MAX_TIME])
def test_times_are_read_back(micros: int) -> None:
    assert to_micros(to_text(micros)) == micros


@pytest.mark.parametrize("micros", [1, 999, 1_000, 90_000_000, 3_600_000_000, 7 * 86_400_000_000])
def test_durations_are_read_back(micros: int) -> None:
    assert duration_micros(duration_text(micros)) == micros
