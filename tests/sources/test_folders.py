"""Folders of Parquet files as writers leave them: each file is read by itself, as declared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import noskew as ns
from noskew.errors import SchemaMismatchError
from noskew.training.ingest import open_connector
from noskew.types import Schema
from tests.sources.declared import rows

SCHEMA = {"uid": int, "at": "timestamp", "n": int, "x": float, "t": str}
AT = datetime(2025, 5, 1, tzinfo=UTC)
#: What the first file of each folder holds, and what is right for the second.
FIRST = {"uid": 1, "at": AT, "n": 5, "x": 0.5, "t": "a"}
SECOND = {"uid": 2, "at": AT, "n": 6, "x": 1.0, "t": "b"}
ARROW = pa.table(
    {
        "uid": pa.array([2]),
        "at": pa.array([AT], pa.timestamp("us", "UTC")),
        "n": pa.array([6]),
        "x": pa.array([1.0]),
        "t": pa.array(["b"]),
    }
)


def cast(name: str, kind: pa.DataType) -> pa.Table:
    """The second file with a column of another type."""
    at = ARROW.column_names.index(name)
    return ARROW.set_column(at, name, ARROW.column(name).cast(kind))


def changed(name: str, array: Any) -> pa.Table:
    """The second file with another column."""
    return ARROW.set_column(ARROW.column_names.index(name), name, array)


def by_pandas(**columns: Any) -> Callable[[Path], None]:
    """pandas writes the second file, some of its columns as given."""
    frame = pd.DataFrame({"uid": [2], "at": [pd.Timestamp(AT)], "n": [6], "x": [1.0], "t": ["b"]})
    return frame.assign(**columns).to_parquet


def by_polars(*columns: pl.Expr) -> Callable[[Path], None]:
    """Polars writes the second file."""
    frame = pl.from_arrow(ARROW)
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(*columns).write_parquet


def by_duckdb(select: str) -> Callable[[Path], None]:
    """DuckDB writes the second file."""

    def write(path: Path) -> None:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("given", ARROW)
            connection.sql(f"SELECT {select} FROM given").write_parquet(str(path))

    return write


def by_arrow(table: pa.Table, **options: Any) -> Callable[[Path], None]:
    """Arrow writes the second file."""
    return lambda path: pq.write_table(table, path, **options)


Folder = tuple[Callable[[Path], Any], list[dict[str, Any]]]
FOLDERS: dict[str, Folder] = {
    "pandas, as the first": (by_pandas(), [SECOND]),
    "pandas, a day with a missing number": (by_pandas(n=[None]), [{**SECOND, "n": None}]),
    "pandas, whole numbers with a hole are floats": (
        pd.DataFrame(
            {"uid": [2, 3], "at": [pd.Timestamp(AT)] * 2, "n": [6, None], "x": 1.0, "t": "b"}
        ).to_parquet,
        [SECOND, {**SECOND, "uid": 3, "n": None}],
    ),
    "pandas, nullable integers": (by_pandas(n=pd.array([None], "Int32")), [{**SECOND, "n": None}]),
    "pandas, a day without any text": (by_pandas(t=[None]), [{**SECOND, "t": None}]),
    "pandas, no text is NaN": (by_pandas(t=[np.nan]), [{**SECOND, "t": None}]),
    "pandas, no time is NaN": (by_pandas(at=[np.nan]), [{**SECOND, "at": None}]),
    "pandas, categories": (by_pandas(t=pd.Categorical(["b"])), [SECOND]),
    "pandas, text of pandas": (by_pandas(t=pd.array(["b"], "string")), [SECOND]),
    "pandas, naive times": (by_pandas(at=[pd.Timestamp("2025-05-01")]), [SECOND]),
    "pandas, times of another zone": (
        by_pandas(at=[pd.Timestamp("2025-05-01 02:00", tz="Europe/Berlin")]),
        [SECOND],
    ),
    "pandas, small numbers": (
        by_pandas(uid=np.array([2], "uint8"), n=np.array([6], "int16"), x=np.array([1], "float32")),
        [SECOND],
    ),
    "pandas, an integer for a float": (by_pandas(x=[1]), [SECOND]),
    "pandas, an empty frame": (pd.DataFrame(columns=list(SCHEMA)).to_parquet, []),
    "pandas, a frame of nothing": (pd.DataFrame().to_parquet, []),
    "pandas, an index that nobody declared": (
        pd.DataFrame(ARROW.to_pydict(), index=pd.Index([7], name="row")).to_parquet,
        [SECOND],
    ),
    "Polars, as it is": (by_polars(), [SECOND]),
    "Polars, categories": (by_polars(pl.col("t").cast(pl.Categorical)), [SECOND]),
    "Polars, an enum": (by_polars(pl.col("t").cast(pl.Enum(["a", "b"]))), [SECOND]),
    "Polars, a column of nulls": (by_polars(pl.lit(None).alias("n")), [{**SECOND, "n": None}]),
    "Polars, nanoseconds": (by_polars(pl.col("at").dt.cast_time_unit("ns")), [SECOND]),
    "Polars, milliseconds": (by_polars(pl.col("at").dt.cast_time_unit("ms")), [SECOND]),
    "Polars, small unsigned numbers": (by_polars(pl.col("n").cast(pl.UInt8)), [SECOND]),
    "Polars, a list nobody declared": (by_polars(pl.lit([1]).alias("more")), [SECOND]),
    "Polars, a date for a time": (by_polars(pl.col("at").dt.date()), [SECOND]),
    "DuckDB, as it is": (by_duckdb("*"), [SECOND]),
    "DuckDB, its own small types": (
        by_duckdb('uid::UTINYINT uid, "at"::TIMESTAMP_NS "at", n::SMALLINT n, x::FLOAT x, t'),
        [SECOND],
    ),
    "DuckDB, naive seconds": (
        by_duckdb('uid, "at"::TIMESTAMP::TIMESTAMP_S "at", n, x, t'),
        [SECOND],
    ),
    "DuckDB, decimals": (by_duckdb('uid, "at", n::DECIMAL(9,0) n, 1.00 AS x, t'), [SECOND]),
    "DuckDB, an enum": (by_duckdb("uid, \"at\", n, x, t::ENUM('b') t"), [SECOND]),
    "DuckDB, columns in another order": (by_duckdb('t, x, n, "at", uid'), [SECOND]),
    "Arrow, large text": (by_arrow(cast("t", pa.large_string())), [SECOND]),
    "Arrow, views": (by_arrow(cast("t", pa.string_view())), [SECOND]),
    "Arrow, dictionaries": (by_arrow(changed("t", pa.array(["b"]).dictionary_encode())), [SECOND]),
    "Arrow, int32": (by_arrow(cast("n", pa.int32())), [SECOND]),
    "Arrow, uint64": (by_arrow(cast("uid", pa.uint64())), [SECOND]),
    "Arrow, whole floats": (by_arrow(cast("n", pa.float64())), [SECOND]),
    "Arrow, half floats": (by_arrow(cast("x", pa.float16())), [SECOND]),
    "Arrow, no text at all": (by_arrow(changed("t", pa.nulls(1))), [{**SECOND, "t": None}]),
    "Arrow, an older file without a column": (
        by_arrow(ARROW.drop_columns(["t", "x"])),
        [{**SECOND, "t": None, "x": None}],
    ),
    "Arrow, times of 96 bits": (by_arrow(ARROW, use_deprecated_int96_timestamps=True), [SECOND]),
    "Arrow, old format, old pages": (
        by_arrow(ARROW, version="1.0", data_page_version="2.0", compression="gzip"),
        [SECOND],
    ),
    "Arrow, texts of times": (
        by_arrow(changed("at", pa.array(["2025-05-01T02:00:00+02:00"]))),
        [SECOND],
    ),
    "Arrow, small pieces": (
        by_arrow(pa.concat_tables([ARROW, ARROW]), row_group_size=1),
        [SECOND, SECOND],
    ),
}


@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_two_writers(tmp_path: Path, name: str, order: str) -> None:
    """Whichever file comes first by its name."""
    write, right = FOLDERS[name]
    one, other = tmp_path / "2.parquet", tmp_path / ("1" if order == "last" else "3")
    pq.write_table(pa.Table.from_pylist([FIRST]), one)
    write(other.with_suffix(".parquet"))
    expected = [FIRST, *right] if order == "first" else [*right, FIRST]
    assert rows(ns.Parquet(str(tmp_path)), SCHEMA) == expected
    assert rows(ns.Parquet(f"{tmp_path}/*.parquet"), SCHEMA) == expected


@pytest.mark.parametrize("name", FOLDERS)
def test_files_alone_are_as_in_their_folder(tmp_path: Path, name: str) -> None:
    """But for a column that only other files have: alone, nothing says that there is one."""
    write, right = FOLDERS[name]
    write(tmp_path / "1.parquet")
    there = pq.read_schema(tmp_path / "1.parquet").names
    schema = {column: kind for column, kind in SCHEMA.items() if column in there}
    expected = [{column: row[column] for column in schema} for row in right]
    assert rows(ns.Parquet(str(tmp_path / "1.parquet")), schema or SCHEMA) == expected


REFUSED = {
    "text for a number": (changed("n", pa.array(["6"])), r"2\.parquet, column 'n': expected int64"),
    "a fraction for a whole number": (changed("n", pa.array([6.5])), r"column 'n'.*value 6\.5"),
    "NaN for a whole number": (changed("n", pa.array([np.nan])), "column 'n'.*value nan"),
    "a number for a time": (changed("at", pa.array([6])), r"column 'at'.*timestamp\[ms\]"),
    "a number out of range": (
        changed("n", pa.array([2**63], pa.uint64())),
        r"column 'n'.*value 9223372036854775808",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_with_its_file(tmp_path: Path, name: str) -> None:
    table, words = REFUSED[name]
    pq.write_table(pa.Table.from_pylist([FIRST]), tmp_path / "1.parquet")
    pq.write_table(table, tmp_path / "2.parquet")
    with pytest.raises(SchemaMismatchError, match=words):
        rows(ns.Parquet(str(tmp_path)), SCHEMA)


def test_a_column_that_no_file_has_is_refused(tmp_path: Path) -> None:
    for name in ("1.parquet", "2.parquet"):
        pq.write_table(ARROW, tmp_path / name)
    with pytest.raises(SchemaMismatchError, match=r"no column 'tt', nor has any other.*'t'"):
        rows(ns.Parquet(str(tmp_path)), {**SCHEMA, "tt": str})
    pq.write_table(ARROW.append_column("tt", ARROW["t"]), tmp_path / "3.parquet")
    found = rows(ns.Parquet(str(tmp_path)), {**SCHEMA, "tt": str})
    assert [row["tt"] for row in found] == [None, "b"], "a copy is no part"
    with pytest.raises(SchemaMismatchError, match="no column 'tt'"):
        rows(ns.Parquet(str(tmp_path / "1.parquet")), {**SCHEMA, "tt": str})


# ------------------------------------------------------------------ folders named after values


def hive(root: Path, folder: str, table: pa.Table | None = None, name: str = "a.parquet") -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"uid": [1]}) if table is None else table, root / folder / name)


VALUES = {
    "int": ("year=2024", {"year": int}, 2024),
    "int with zeros": ("month=01", {"month": int}, 1),
    "text with zeros": ("month=01", {"month": str}, "01"),
    "null": ("year=__HIVE_DEFAULT_PARTITION__", {"year": int}, None),
    "percents": ("place=a%2Fb%20%3D%25", {"place": str}, "a/b =%"),
    "an encoded name": ("the%5Fplace=x", {"the_place": str}, "x"),
    "an equals sign": ("place=a=b", {"place": str}, "a=b"),
    "nothing": ("place=", {"place": str}, ""),
    "float": ("rate=0.5", {"rate": float}, 0.5),
    "bool": ("ok=true", {"ok": bool}, True),
    "date": ("day=2024-02-29", {"day": "date"}, date(2024, 2, 29)),
    "time": (
        "at=2024-02-29T00%3A00%3A00Z",
        {"at": "timestamp"},
        datetime(2024, 2, 29, tzinfo=UTC),
    ),
    "number of a unit": ("at=86400", {"at": "timestamp[s]"}, datetime(1970, 1, 2, tzinfo=UTC)),
    "decimal": ("price=1.50", {"price": "decimal(9, 2)"}, Decimal("1.50")),
    "not declared": ("year=soon", {}, None),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_folder_gives_the_value(tmp_path: Path, name: str) -> None:
    folder, column, value = VALUES[name]
    hive(tmp_path, folder)
    right = [{"uid": 1, **dict.fromkeys(column, value)}]
    for path in (tmp_path, tmp_path / folder, tmp_path / folder / "a.parquet"):
        assert rows(ns.Parquet(str(path)), {"uid": int, **column}) == right
    if "[" not in folder:
        assert rows(ns.Parquet(f"{tmp_path}/*/*.parquet"), {"uid": int, **column}) == right


@pytest.mark.parametrize(
    ("folder", "kind", "words"),
    [
        ("year=soon", int, "year=soon, and 'soon' is no int64"),
        ("year=1.5", int, "'1.5' is no int64"),
        ("year=2024-02-30", "date", "is no date32"),
        ("year=2024-02-29", "timestamp", "has no offset"),
        ("year=1", "list<int64>", "is no list"),
        ("year=1/year=2", int, "'1' and '2' for 'year'"),
    ],
)
def test_folders_that_say_no_value(tmp_path: Path, folder: str, kind: Any, words: str) -> None:
    hive(tmp_path, folder)
    with pytest.raises(SchemaMismatchError, match=words):
        rows(ns.Parquet(str(tmp_path)), {"uid": int, "year": kind})


def test_a_column_in_both_must_agree(tmp_path: Path) -> None:
    schema = {"uid": int, "year": int}
    year = pa.array([2024, 2024], pa.int32())
    hive(tmp_path, "year=2024", pa.table({"uid": [1, 2], "year": year}))
    assert [row["year"] for row in rows(ns.Parquet(str(tmp_path)), schema)] == [2024, 2024]
    hive(tmp_path, "year=2025", pa.table({"uid": [3, 4], "year": [2025, 2024]}))
    with pytest.raises(SchemaMismatchError, match=r"year=2025.*'year' in the file has 2024"):
        rows(ns.Parquet(str(tmp_path)), schema)
    assert len(rows(ns.Parquet(str(tmp_path)), {"uid": int})) == 4


def test_a_time_in_a_file_may_be_any_of_its_folder_s_day(tmp_path: Path) -> None:
    hive(tmp_path, "at=2025-05-01", ARROW)
    assert rows(ns.Parquet(str(tmp_path)), SCHEMA) == [SECOND]


def test_equal_files_in_two_folders_are_no_copies(tmp_path: Path) -> None:
    hive(tmp_path, "country=DE")
    hive(tmp_path, "country=FR")
    found = rows(ns.Parquet(str(tmp_path)), {"uid": int, "country": str})
    assert found == [{"uid": 1, "country": "DE"}, {"uid": 1, "country": "FR"}]
    assert len(rows(ns.Parquet(str(tmp_path)), {"uid": int})) == 1, "what is left is a copy"


def test_tokens_know_declared_folders_alone(tmp_path: Path) -> None:
    hive(tmp_path, "country=DE")

    def token(schema: dict[str, Any], path: Path) -> str:
        (part,) = open_connector(ns.Parquet(str(path)), Schema(schema)).parts()
        return part.token

    hive(tmp_path / "other", "country=FR")
    plain = token({"uid": int}, tmp_path / "country=DE")
    assert plain == token({"uid": int}, tmp_path / "other")
    assert plain != token({"uid": int, "country": str}, tmp_path / "country=DE")


@pytest.mark.parametrize("writer", ["pandas", "Polars", "DuckDB", "Arrow"])
def test_folders_that_writers_make(tmp_path: Path, writer: str) -> None:
    table = pa.table({"uid": [1, 2, 3], "year": [2024, 2024, 2025], "c": ["a/b", None, "é ="]})
    root = str(tmp_path / "data")
    if writer == "pandas":
        table.to_pandas().to_parquet(root, partition_cols=["year", "c"])
    elif writer == "Polars":
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        frame.write_parquet(root, partition_by=["year", "c"], mkdir=True)
    elif writer == "DuckDB":
        with duckdb.connect() as connection:
            connection.register("given", table)
            connection.execute(f"COPY given TO '{root}' (FORMAT parquet, PARTITION_BY (year, c))")
    else:
        pq.write_to_dataset(table, root, partition_cols=["year", "c"])
    found = rows(ns.Parquet(root), {"uid": int, "year": int, "c": str})
    assert sorted(found, key=lambda row: row["uid"]) == table.to_pylist()
