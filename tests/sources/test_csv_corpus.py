"""CSV files as programs write them, each with its right values."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.csv
import pytest

from noskew.kernel.bits import differences
from noskew.stores.sources import CsvSource

NAN, INF = float("nan"), float("inf")
NOON = datetime(2025, 5, 1, 12, 30, 15, 250_000, tzinfo=UTC)
KINDS = {"k": "int64", "x": "float64", "s": "string", "at": "timestamp"}
#: What the writers are given, and what is read: text has no null unless it is declared.
ROWS: dict[str, list[Any]] = {
    "k": [1, None, -3],
    "x": [1.5, NAN, -INF],
    "s": ['a, "b"', "", "two\nlines; and | bars\t"],
    "at": [NOON, None, NOON],
}
TABLE = pa.table(
    {
        "k": pa.array(ROWS["k"], pa.int64()),
        "x": pa.array(ROWS["x"], pa.float64()),
        "s": pa.array(ROWS["s"]),
        "at": pa.array(ROWS["at"], pa.timestamp("us", "UTC")),
    }
)


def read(path: Path, kinds: dict[str, Any], **options: Any) -> pa.Table:
    """All rows of a file, the same whether it is read whole or a few bytes at a time."""
    source = CsvSource(path, kinds, **options)
    tables = []
    for block in (7, 64, 1 << 22):
        small = CsvSource(path, kinds, block_bytes=block, **options)
        batches = [b for part in small.parts() for b in small.read(part, list(kinds))]
        tables.append(
            pa.Table.from_batches(
                batches, pa.schema([(name, source.schema().field(name).type) for name in kinds])
            ).combine_chunks()
        )
    for table in tables[1:]:
        assert not differences(tables[0], table)
    return tables[0]


def check(found: pa.Table, expected: dict[str, list[Any]]) -> None:
    wanted = pa.table({n: pa.array(v, found.schema.field(n).type) for n, v in expected.items()})
    assert not differences(wanted, found)


# -- the same rows, by each writer -----------------------------------------------------------


def by_arrow(path: Path) -> dict[str, Any]:
    pyarrow.csv.write_csv(TABLE, path)
    return {}


def by_arrow_with_tabs(path: Path) -> dict[str, Any]:
    options = pyarrow.csv.WriteOptions(delimiter="\t", quoting_style="all_valid")
    pyarrow.csv.write_csv(TABLE, path, options)
    return {}


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "k": pd.array(ROWS["k"], "Int64"),
            "x": ROWS["x"],
            "s": ROWS["s"],
            "at": pd.to_datetime(ROWS["at"], utc=True),
        }
    )


def by_pandas(path: Path) -> dict[str, Any]:
    # pandas has one word for NaN and null: with another it writes what it is given.
    frame().assign(x=["1.5", "nan", "-inf"]).to_csv(path, index=False)
    return {}


def by_pandas_for_europe(path: Path) -> dict[str, Any]:
    text = frame().assign(x=["1,5", "nan", "-inf"])
    text.to_csv(
        path, index=False, sep=";", decimal=",", lineterminator="\r\n", encoding="utf-8-sig"
    )
    return {"decimal": ","}


def by_pandas_all_quoted(path: Path) -> dict[str, Any]:
    frame().assign(x=["1.5", "nan", "-inf"]).to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    return {}


def by_pandas_whole_floats(path: Path) -> dict[str, Any]:
    """Integers with a hole are floats in a plain frame."""
    frame().assign(k=[1.0, NAN, -3.0], x=["1.5", "nan", "-inf"]).to_csv(path, index=False)
    return {}


def by_pandas_nanoseconds(path: Path) -> dict[str, Any]:
    at = pd.to_datetime(["2025-05-01 12:30:15.250000999Z", None, "2025-05-01 12:30:15.250000001Z"])
    frame().assign(at=at, x=["1.5", "nan", "-inf"]).to_csv(path, index=False)
    return {}


def by_polars(path: Path) -> dict[str, Any]:
    pl.from_arrow(TABLE).write_csv(path)  # type: ignore[union-attr]
    return {}


def by_polars_with_bars(path: Path) -> dict[str, Any]:
    pl.from_arrow(TABLE).write_csv(path, separator="|", quote_style="non_numeric")  # type: ignore[union-attr]
    return {}


def by_duckdb(path: Path) -> dict[str, Any]:
    with duckdb.connect() as connection:
        connection.register("rows", TABLE)
        connection.execute("SET timezone = 'Asia/Kolkata'")
        connection.sql("SELECT * FROM rows").write_csv(str(path))
    return {}


def by_duckdb_with_a_word(path: Path) -> dict[str, Any]:
    with duckdb.connect() as connection:
        connection.register("rows", TABLE)
        connection.sql("SELECT * FROM rows").write_csv(str(path), na_rep="NULL", sep=";")
    return {"null_values": ["NULL"]}


def by_python(path: Path) -> dict[str, Any]:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(ROWS)
        writer.writerows(zip(*ROWS.values(), strict=True))
    return {}


def by_python_for_excel(path: Path) -> dict[str, Any]:
    text = io.StringIO()
    csv.writer(text, "excel-tab").writerows([ROWS, *zip(*ROWS.values(), strict=True)])
    path.write_bytes(text.getvalue().encode("utf-16"))
    return {}


@pytest.mark.parametrize(
    "writer",
    [
        by_arrow,
        by_arrow_with_tabs,
        by_pandas,
        by_pandas_for_europe,
        by_pandas_all_quoted,
        by_pandas_whole_floats,
        by_pandas_nanoseconds,
        by_polars,
        by_polars_with_bars,
        by_duckdb,
        by_duckdb_with_a_word,
        by_python,
        by_python_for_excel,
    ],
    ids=lambda writer: writer.__name__,
)
def test_what_a_program_writes(tmp_path: Path, writer: Callable[[Path], dict[str, Any]]) -> None:
    path = tmp_path / "rows.csv"
    options = writer(path)
    check(read(path, KINDS, **options), ROWS)


COPIES = {
    "FORMAT csv, HEADER": ({}, None),
    "FORMAT csv, HEADER, DELIMITER E'\\t', FORCE_QUOTE *": ({}, None),
    "FORMAT csv, HEADER, NULL '\\N'": ({"null_values": [r"\N"]}, None),
    "FORMAT csv": ({"header": False}, None),
}


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns"])
def test_what_postgres_copies(tmp_path: Path, postgres_url: str, copy: str, zone: str) -> None:
    path = tmp_path / "rows.csv"
    with psycopg.connect(postgres_url) as connection:
        connection.execute("SELECT set_config('timezone', %s, false)", [zone])
        connection.execute("CREATE TEMP TABLE r (k int8, x float8, s text, at timestamptz)")
        for row in zip(*ROWS.values(), strict=True):
            connection.execute("INSERT INTO r VALUES (%s, %s, %s, %s)", row)
        with connection.cursor().copy(f"COPY r TO STDOUT ({copy})") as rows:  # type: ignore[arg-type]
            path.write_bytes(b"".join(bytes(block) for block in rows))
        connection.rollback()
    check(read(path, KINDS, **COPIES[copy][0]), ROWS)


# -- literal files ---------------------------------------------------------------------------


@dataclass(frozen=True)
class File:
    data: bytes
    kinds: dict[str, str]
    rows: dict[str, list[Any]]
    options: dict[str, Any] = field(default_factory=dict)
    name: str = "rows.csv"


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


TIME = {"k": "int64", "at": "timestamp"}
FILES = {
    "a header alone": File(b"k,s\n", {"k": "int64", "s": "string"}, {"k": [], "s": []}),
    "a header alone, no line end": File(b"k", {"k": "int64"}, {"k": []}),
    "no line end": File(
        b"k,s\n1,a\n2,b", {"k": "int64", "s": "string"}, {"k": [1, 2], "s": ["a", "b"]}
    ),
    "CR LF": File(
        b'k,s\r\n1,"a\r\nb"\r\n2,\r\n',
        {"k": "int64", "s": "string"},
        {"k": [1, 2], "s": ["a\r\nb", ""]},
    ),
    "CR alone": File(
        b"k,s\r1,a\r2,b\r", {"k": "int64", "s": "string"}, {"k": [1, 2], "s": ["a", "b"]}
    ),
    "empty lines": File(
        b"\n\nk,s\n\n1,a\n\n\n2,b\n\n",
        {"k": "int64", "s": "string"},
        {"k": [1, 2], "s": ["a", "b"]},
    ),
    "a quoted line break at every place": File(
        b"k,s\n" + b"".join(b'%d,"%s\n"\n' % (n, b"x" * n) for n in range(40)),
        {"k": "int64", "s": "string"},
        {"k": list(range(40)), "s": ["x" * n + "\n" for n in range(40)]},
    ),
    "quotes amid a field": File(
        b'k,s\n1,5" pipe\n2,"a ""b"""\n3,6"\n',
        {"k": "int64", "s": "string"},
        {"k": [1, 2, 3], "s": ['5" pipe', 'a "b"', '6"']},
    ),
    "a quote amid a field, then a quoted line break": File(
        b'k,s\n1,5"\n2,"a\nb"\n', {"k": "int64", "s": "string"}, {"k": [1, 2], "s": ['5"', "a\nb"]}
    ),
    "quoted names": File(b'"k";"a,b"\n1;x\n', {"k": "int64"}, {"k": [1]}),
    "a doubled column that nobody declares": File(b"z,k,z\n1,2,3\n", {"k": "int64"}, {"k": [2]}),
    "tabs by the name": File(
        b"k\ts\n1\ta,b\n", {"k": "int64", "s": "string"}, {"k": [1], "s": ["a,b"]}, name="rows.tsv"
    ),
    "packed": File(
        gzip.compress(b"k,s\n1,a\n"),
        {"k": "int64", "s": "string"},
        {"k": [1], "s": ["a"]},
        name="rows.csv.gz",
    ),
    "UTF-8 with a mark": File(
        b"\xef\xbb\xbfk,s\n1,\xc3\xa9\n", {"k": "int64", "s": "string"}, {"k": [1], "s": ["é"]}
    ),
    "UTF-16 of Excel": File(
        "k\ts\r\n1\té\r\n".encode("utf-16"), {"k": "int64", "s": "string"}, {"k": [1], "s": ["é"]}
    ),
    "UTF-16, big end first": File(
        b"\xfe\xff" + "k;s\n1;é😀\n".encode("utf-16-be"),
        {"k": "int64", "s": "string"},
        {"k": [1], "s": ["é😀"]},
    ),
    "Windows": File(
        "k,s\n1,Müller\n".encode("cp1252"),
        {"k": "int64", "s": "string"},
        {"k": [1], "s": ["Müller"]},
        {"encoding": "cp1252"},
    ),
    "bytes that are not text in a column that nobody declares": File(
        b"k,s\n1,\xe9\n", {"k": "int64"}, {"k": [1]}
    ),
    "NaN however it is spelled": File(
        b"k,x\n1,nan\n2,NaN\n3,NAN\n4,\n5,inf\n6,Infinity\n7,-inf\n8,-Infinity\n9,Inf\n",
        {"x": "float64"},
        {"x": [NAN, NAN, NAN, None, INF, INF, -INF, -INF, INF]},
    ),
    "booleans": File(
        b"k,b\n1,true\n2,False\n3,t\n4,f\n5,1\n6,0\n7,TRUE\n8,\n",
        {"b": "bool"},
        {"b": [True, False, True, False, True, False, True, None]},
    ),
    "words for null": File(
        b'k,s,x\nNULL,NULL,NULL\n1,"NULL",1\n,,\n',
        {"k": "int64", "s": "string", "x": "float64"},
        {"k": [None, 1, None], "s": [None, "NULL", ""], "x": [None, 1.0, None]},
        {"null_values": ["NULL"]},
    ),
    "empty text that is null": File(
        b'k,s\n1,\n2,""\n',
        {"k": "int64", "s": "string"},
        {"k": [1, 2], "s": [None, ""]},
        {"null_values": [""]},
    ),
    "words for null are text otherwise": File(
        b"k,s\n1,NULL\n2,NA\n3,nan\n", {"s": "string"}, {"s": ["NULL", "NA", "nan"]}
    ),
    "decimals": File(
        b"k,d\n1,1.50\n2,-3\n3,\n",
        {"d": "decimal(10, 2)"},
        {"d": [Decimal("1.50"), Decimal("-3.00"), None]},
    ),
    "decimal commas": File(
        b'k,d,x\n1,"1,50","2,5"\n',
        {"d": "decimal(10, 2)", "x": "float64"},
        {"d": [Decimal("1.50")], "x": [2.5]},
        {"decimal": ",", "delimiter": ","},
    ),
    "dates": File(b"k,d\n1,2025-05-01\n2,\n", {"d": "date"}, {"d": [date(2025, 5, 1), None]}),
    "lists": File(
        b'k,v,w\n1,"[1.5, null]","[""a"", ""b,c""]"\n2,,\n3,[],[]\n',
        {"v": "list<float64>", "w": "list<string>"},
        {"v": [[1.5, None], None, []], "w": [["a", "b,c"], None, []]},
    ),
    "lists of times, vectors": File(
        b'k,v,w\n1,"[""2025-05-01T00:00:00Z"", null]","[1, 2]"\n2,,\n',
        {"v": "list<timestamp>", "w": "vector<float32, 2>"},
        {"v": [[at(2025, 5, 1), None], None], "w": [[1.0, 2.0], None]},
    ),
    "times with an offset": File(
        b"k,at\n1,2025-05-01 00:00:00+02\n2,2025-05-01T00:00:00.5+0530\n"
        b"3,2025-05-01 00:00:00 -01:00\n4,2025-05-01T00:00:00z\n",
        TIME,
        {
            "k": [1, 2, 3, 4],
            "at": [
                at(2025, 4, 30, 22),
                at(2025, 4, 30, 18, 30, 0, 500_000),
                at(2025, 5, 1, 1),
                at(2025, 5, 1),
            ],
        },
    ),
    "times of a place, dates among them": File(
        b"k,at\n1,2025-01-01 00:00:00\n2,2025-07-01\n3,2025-07-01T00:00:00Z\n4,\n",
        TIME,
        {
            "k": [1, 2, 3, 4],
            "at": [at(2024, 12, 31, 23), at(2025, 6, 30, 22), at(2025, 7, 1), None],
        },
        {"timezone": "Europe/Berlin"},
    ),
    "days first": File(
        b"k,at\n1,3/4/2025 9:05\n2,31/12/1969 23:59\n",
        TIME,
        {"k": [1, 2], "at": [at(2025, 4, 3, 9, 5), at(1969, 12, 31, 23, 59)]},
        {"timezone": "UTC", "timestamp_format": "%d/%m/%Y %H:%M"},
    ),
    "months in words, twelve hours": File(
        b"k,at\n1,Apr 03 25 12:05:01.5 am\n2,DEC 31 69 01:00:00.000001 PM\n",
        TIME,
        {"k": [1, 2], "at": [at(2025, 4, 3, 0, 5, 1, 500_000), at(1969, 12, 31, 13, 0, 0, 1)]},
        {"timezone": "UTC", "timestamp_format": "%b %d %y %I:%M:%S.%f %p"},
    ),
    "a format with an offset": File(
        b"k,at\n1,20250501000000+0200\n",
        TIME,
        {"k": [1], "at": [at(2025, 4, 30, 22)]},
        {"timestamp_format": "%Y%m%d%H%M%S%z"},
    ),
    "nanoseconds are cut off, towards 1970": File(
        b"k,at\n1,1969-12-31T23:59:59.999999999Z\n2,1969-12-31T23:59:59.999998001Z\n3,2262-01-01T00:00:00.000000999Z\n",
        TIME,
        {
            "k": [1, 2, 3],
            "at": [at(1970, 1, 1), at(1969, 12, 31, 23, 59, 59, 999_999), at(2262, 1, 1)],
        },
    ),
    "no header": File(
        b"1;a\n2;b\n",
        {"k": "int64", "s": "string"},
        {"k": [1, 2], "s": ["a", "b"]},
        {"header": False},
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file(tmp_path: Path, name: str) -> None:
    file = FILES[name]
    path = tmp_path / file.name
    path.write_bytes(file.data)
    check(read(path, file.kinds, **file.options), file.rows)


def test_a_row_larger_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    long = "line\n" * 1_200_000
    path.write_text(f'k,s\n1,"{long}"\n2,b\n')
    source = CsvSource(path, {"k": "int64", "s": "string"})
    (part,) = source.parts()
    found = pa.Table.from_batches(source.read(part))
    assert found.to_pydict() == {"k": [1, 2], "s": [long, "b"]}


def test_folders_of_packed_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"k,s\n1,a\n"))
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(b"k\ts\n2\tb\n"))
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"k,s\n3,c\n"))
    source = CsvSource(tmp_path, {"k": "int64"})
    rows = [r for p in source.parts() for b in source.read(p) for r in b.to_pylist()]
    assert rows == [{"k": 1, "s": "a"}, {"k": 2, "s": "b"}]
