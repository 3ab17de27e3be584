"""Values of every type, extremes among them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from noskew.clock import to_datetime
from noskew.types import DType

_TIME_ENDS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@cache
def values(kind: DType) -> SearchStrategy[Any]:
    """Values of a type, not null, its extremes often among them."""
    if kind.item is not None:
        least, most = (kind.size, kind.size) if kind.kind == "vector" else (0, 3)
        return st.lists(values(kind.item), min_size=least, max_size=most)
    if kind.is_integer:
        bits = int(kind.kind[3:])
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        return st.sampled_from([0, 1, -1, 2, low, high, high - 1]) | st.integers(low, high)
    if kind.is_float:
        return _floats(int(kind.kind[5:]))
    if kind.kind == "decimal":
        most_unscaled = 10**kind.precision - 1
        unscaled = st.sampled_from([0, 1, -1, 150, most_unscaled, -most_unscaled])
        return (unscaled | st.integers(-most_unscaled, most_unscaled)).map(
            lambda n: Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -kind.scale))
        )
    return _OTHERS[kind.kind]


def _floats(width: Any) -> SearchStrategy[float]:
    huge, tiny, least = (1e300, 1e-300, 5e-324) if width == 64 else (2.0**127, 2.0**-126, 2.0**-149)
    special = [0.0, -0.0, math.nan, math.inf, -math.inf, huge, -huge, tiny, -tiny, least, -least]
    tame = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 3.0])
    finite = st.floats(width=width, allow_nan=False, allow_infinity=False)
    return st.one_of(tame, finite, st.sampled_from(special), st.floats(width=width))


_OTHERS: Mapping[str, SearchStrategy[Any]] = {
    "bool": st.booleans(),
    # U+FFFF sorts after U+1F600 in UTF-16, before it in UTF-8.
    "string": st.sampled_from(["", "a", "ab", "b", "é", "e\u0301", "\uffff", "\U0001f600", "\x00"])
    | st.text(max_size=3),
    "bytes": st.sampled_from([b"", b"a", b"ab", b"\x00", b"\x7f", b"\x80"]) | st.binary(max_size=3),
    "timestamp": st.sampled_from([to_datetime(0), to_datetime(-1), to_datetime(1), *_TIME_ENDS]),
    "date": st.sampled_from([date(1970, 1, 1), date(1969, 12, 31), date.min, date.max]),
}
