"""Decimals and PostgreSQL's numeric, read as they are declared."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import noskew as ns
from noskew.errors import InputError, SchemaMismatchError
from tests.sources.declared import rows

#: What a float is when it is rounded twice, and when once.
TWICE = "1.00000005960464477539062500001"


@pytest.fixture(autouse=True)
def _database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)


def value(sql: str, kind: Any) -> Any:
    (row,) = rows(ns.Postgres(f"SELECT {sql} AS n"), {"n": kind})
    return row["n"]


@pytest.mark.parametrize(
    ("sql", "kind", "right"),
    [
        ("1.5::numeric", float, 1.5),
        ("0.1::numeric", float, 0.1),
        ("'Infinity'::numeric", float, math.inf),
        ("'-Infinity'::numeric", "float32", -math.inf),
        (f"{TWICE}::numeric", "float32", 1 + 2**-23),
        ("12345678901234567890.123456789::numeric", float, 12345678901234567890.123456789),
        ("NULL::numeric", float, None),
        ("7::numeric", int, 7),
        ("9223372036854775807::numeric", int, 2**63 - 1),
        ("1.50::numeric", "decimal(9, 2)", Decimal("1.50")),
        ("1.5::numeric(9, 3)", float, 1.5),
        ("1.5::numeric(9, 3)", "decimal(18, 4)", Decimal("1.5000")),
        ("1.5::numeric(60, 3)", float, 1.5),
        ("'{1.5,NULL,NaN}'::numeric[]", "list<float64>", [1.5, None, math.nan]),
        ("86400::numeric", "timestamp[s]", "1970-01-02T00:00:00+00:00"),
        (
            "extract(epoch from '1970-01-02Z'::timestamptz)",
            "timestamp[s]",
            "1970-01-02T00:00:00+00:00",
        ),
    ],
)
def test_a_numeric_as_declared(sql: str, kind: Any, right: Any) -> None:
    found = value(sql, kind)
    if isinstance(right, str):
        found = found.isoformat()
    np.testing.assert_equal(found, right)


def test_a_numeric_that_is_nan() -> None:
    assert math.isnan(value("'NaN'::numeric", float))


@pytest.mark.parametrize(
    ("sql", "kind", "error"),
    [
        ("1.5::numeric", int, InputError),
        ("1e400::numeric", float, InputError),
        ("'{1e39}'::numeric[]", "list<float32>", InputError),
        ("9223372036854775808::numeric", int, SchemaMismatchError),
        ("1.005::numeric", "decimal(9, 2)", InputError),
        ("'NaN'::numeric", "decimal(9, 2)", InputError),
        ("1.5::numeric", str, InputError),
        ("1.5::numeric", "timestamp", InputError),
        ("7::numeric", "timestamp", SchemaMismatchError),
    ],
)
def test_numerics_that_do_not_fit(sql: str, kind: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="'n'"):
        value(sql, kind)


@pytest.mark.parametrize("scale", [0, 2, 20])
def test_decimals_of_files_and_frames(scale: int) -> None:
    numbers = [Decimal(n).scaleb(-scale) for n in (-1, 0, 12345678901234567890)]
    frame = pa.table({"n": pa.array([*numbers, None], pa.decimal128(38, scale))})
    found = rows(ns.Frame(frame), {"n": float})
    assert found == [*({"n": float(n)} for n in numbers), {"n": None}]


def test_a_decimal_of_256_bits_and_a_small_float() -> None:
    frame = pa.table({"n": pa.array([Decimal(TWICE)], pa.decimal256(50, 29))})
    assert rows(ns.Frame(frame), {"n": "float32"}) == [{"n": 1 + 2**-23}]
    large = pa.table({"n": pa.array([Decimal(10) ** 39], pa.decimal256(50, 0))})
    assert rows(ns.Frame(large), {"n": float}) == [{"n": 1e39}]
    with pytest.raises(SchemaMismatchError, match="beyond the range of float32"):
        rows(ns.Frame(large), {"n": "float32"})
    assert rows(ns.DuckDb("SELECT 0.1::DECIMAL(9, 2) AS n"), {"n": float}) == [{"n": 0.1}]
