"""Batch sources: tokens, order, types, refusals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noskew.errors import (
    ConfigError,
    ConflictError,
    CorruptDataError,
    InputError,
    SchemaMismatchError,
    StoreUnavailableError,
)
from noskew.stores.sources import (
    BatchSource,
    CsvSource,
    DuckDbQuery,
    FrameSource,
    IcebergSource,
    ParquetSource,
    PostgresQuery,
    open_source,
)

TIME = pa.timestamp("us", "UTC")
TABLE = pa.table(
    {
        "k": pa.array([1, 2, None, 4], pa.int64()),
        "s": pa.array(["a", "", None, "d"]),
        "v": pa.array([[1.0, None], [], None, [-0.0]], pa.list_(pa.float64())),
    }
)


def read_all(source: BatchSource, **options: Any) -> list[dict[str, Any]]:
    """Every row of every part."""
    return [
        row
        for part in source.parts()
        for batch in source.read(part, **options)
        for row in batch.to_pylist()
    ]


def token(source: BatchSource) -> str:
    """The token of the only part."""
    (part,) = source.parts()
    return part.token


def check_sample(source: BatchSource) -> None:
    """Rows of the source, no more than asked for, in its columns."""
    everything = read_all(source)
    for size in (0, 1, 2, 3, 1_000):
        found = [row for batch in source.sample(size) for row in batch.to_pylist()]
        assert len(found) <= size
        assert all(row in everything for row in found)
        assert bool(found) == bool(size and everything)
    names = source.schema().names[-1:]
    assert all(batch.schema.names == names for batch in source.sample(2, names))


def check_reading(source: BatchSource, rows: list[dict[str, Any]]) -> None:
    check_sample(source)
    """What all sources of the same rows have in common."""
    names = list(rows[0])
    assert source.schema().names == names
    assert read_all(source) == rows
    assert read_all(source, columns=names[::-1]) == rows
    batches = [b for part in source.parts() for b in source.read(part, batch_rows=2)]
    assert [b.num_rows for b in batches if b.num_rows > 2] == []
    assert [row for b in batches for row in b.to_pylist()] == rows
    first = next(iter(source.parts()))
    assert next(source.read(first, [names[-1]])).schema.names == [names[-1]]
    assert source.parts() == source.parts()
    with pytest.raises(SchemaMismatchError, match=names[0]):
        list(source.read(first, ["nowhere"]))
    with pytest.raises(SchemaMismatchError):
        list(source.read(first, [names[0], names[0]]))


# -- frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        TABLE,
        TABLE.to_batches(max_chunksize=1),
        pl.DataFrame(
            TABLE.to_pydict(), schema={"k": pl.Int64, "s": pl.String, "v": pl.List(pl.Float64)}
        ),
        pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches(max_chunksize=3)),
        TABLE.slice(0, 1).to_batches()[0],
    ],
    ids=["table", "batches", "polars", "stream", "batch"],
)
def test_frames_of_every_kind(frame: Any) -> None:
    rows = TABLE.to_pylist()
    source = FrameSource(frame)
    check_reading(source, rows[:1] if isinstance(frame, pa.RecordBatch) else rows)


def test_a_pandas_frame_without_its_index() -> None:
    frame = pd.DataFrame({"k": [3, 1], "s": ["x", "y"]}, index=[7, 8])
    check_reading(FrameSource(frame), [{"k": 3, "s": "x"}, {"k": 1, "s": "y"}])
    assert token(FrameSource(frame)) == token(FrameSource(frame.reset_index(drop=True)))


def test_a_frame_token_is_of_the_content_alone() -> None:
    whole = token(FrameSource(TABLE))
    pieces = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1, 2), TABLE.slice(3)])
    assert token(FrameSource(pieces)) == whole
    padded = pa.concat_tables([TABLE, TABLE]).slice(4, 4)
    assert token(FrameSource(padded)) == whole
    coded = TABLE.set_column(1, "s", TABLE.column("s").dictionary_encode())
    assert token(FrameSource(coded)) == whole
    large = TABLE.set_column(1, "s", TABLE.column("s").cast(pa.large_string()))
    assert token(FrameSource(large)) == whole


@pytest.mark.parametrize(
    "other",
    [
        TABLE.slice(0, 3),
        TABLE.slice(0, 0),
        TABLE.rename_columns(["k", "s", "w"]),
        TABLE.select(["s", "k", "v"]),
        TABLE.set_column(0, "k", pa.array([1, 2, 0, 4], pa.int64())),
        TABLE.set_column(0, "k", pa.array([1, 2, None, 4], pa.int32())),
        TABLE.set_column(1, "s", pa.array(["a", None, "", "d"])),
        TABLE.set_column(1, "s", pa.array(["", "a", None, "d"])),
        TABLE.set_column(2, "v", pa.array([[1.0, None], [], None, [0.0]])),
        TABLE.set_column(2, "v", pa.array([[1.0], [None], None, [-0.0]])),
        TABLE.take([1, 0, 2, 3]),
    ],
)
def test_other_content_has_another_token(other: pa.Table) -> None:
    assert token(FrameSource(other)) != token(FrameSource(TABLE))


def test_frames_that_are_refused() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pandas_twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    for frame in (twice, pandas_twice):
        with pytest.raises(SchemaMismatchError, match="a"):
            FrameSource(frame)
    for nothing in (None, 5, [], "text", {"k": [1]}):
        with pytest.raises(InputError):
            FrameSource(nothing)


# -- files -----------------------------------------------------------------------------------


def test_parquet_parts_are_files(tmp_path: Path) -> None:
    place = tmp_path / "data"
    (place / "day=2").mkdir(parents=True)
    pq.write_table(TABLE.slice(2), place / "day=2" / "b.parquet")
    pq.write_table(TABLE.slice(0, 2), place / "a.parquet")
    (place / "_SUCCESS").write_text("")
    (place / "_hidden.parquet").write_text("no")
    (place / "notes.txt").write_text("no")
    rows = TABLE.to_pylist()
    for path in (str(place), f"{place}/**/*.parquet"):
        source = ParquetSource(path)
        check_reading(source, rows)
        assert [part.rows for part in source.parts()] == [2, 2]
    check_reading(ParquetSource(place / "a.parquet"), rows[:2])


def test_a_parquet_token_is_of_the_content(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("1.parquet", "2.parquet", "3.parquet"))
    pq.write_table(TABLE, one)
    two.write_bytes(one.read_bytes())
    pq.write_table(TABLE.set_column(0, "k", pa.array([1, 3, None, 4])), three)
    assert token(ParquetSource(one)) == token(ParquetSource(two)) != token(ParquetSource(three))
    tokens = [part.token for part in ParquetSource(tmp_path).parts()]
    assert len(tokens) == len(set(tokens)) == 2, "a copy is no part"
    part = ParquetSource(one).parts()[0]
    one.write_bytes(three.read_bytes())
    with pytest.raises(InputError, match="content"):
        list(ParquetSource(one).read(part))


def test_large_parquet_files_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noskew.stores.sources.parquet.WHOLE_BYTES", 0)
    one, two = tmp_path / "1.parquet", tmp_path / "2.parquet"
    pq.write_table(TABLE, one)
    pq.write_table(TABLE.slice(1), two)
    assert token(ParquetSource(one)) == token(ParquetSource(one))
    assert token(ParquetSource(one)) != token(ParquetSource(two))
    for content in (b"", b"PAR1", one.read_bytes()[:-4], b"x" * 100):
        two.write_bytes(content)
        with pytest.raises(CorruptDataError, match=r"2\.parquet"):
            ParquetSource(two).parts()


def test_damaged_and_absent_files(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    pq.write_table(pa.table({"k": range(100_000)}), broken)
    part = ParquetSource(broken).parts()[0]
    broken.write_bytes(broken.read_bytes()[:5_000])
    for call in (ParquetSource(broken).parts, ParquetSource(broken).schema):
        with pytest.raises(CorruptDataError, match="broken"):
            call()
    with pytest.raises(CorruptDataError):
        list(ParquetSource(broken).read(part))
    for source in (
        ParquetSource(tmp_path / "none"),
        ParquetSource(f"{tmp_path}/*.pq"),
        CsvSource(tmp_path / "none.csv"),
        CsvSource(tmp_path),
    ):
        with pytest.raises(InputError, match=str(tmp_path)):
            source.parts()


def test_parquet_files_that_do_not_agree(tmp_path: Path) -> None:
    pq.write_table(pa.table({"k": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"k": ["1"]}), tmp_path / "2.parquet")
    assert read_all(ParquetSource(tmp_path)) == [{"k": 1}, {"k": "1"}], "each in its own types"


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        'k,at,s,w\n1,2020-01-01T00:00:00Z,"x, y",007\n2,2020-01-01T02:00:00+02:00,,\n,,a,1\n'
    )
    source = CsvSource(path, {"k": "int64", "at": TIME})
    new_year = datetime(2020, 1, 1, tzinfo=UTC)
    rows = [
        {"k": 1, "at": new_year, "s": "x, y", "w": "007"},
        {"k": 2, "at": new_year, "s": "", "w": ""},
        {"k": None, "at": None, "s": "a", "w": "1"},
    ]
    check_reading(source, rows)
    assert source.schema().types == [pa.int64(), TIME, pa.string(), pa.string()]
    assert token(source) != token(CsvSource(path, {"k": "int32", "at": TIME}))
    copy = tmp_path / "b.csv"
    copy.write_bytes(path.read_bytes())
    assert token(CsvSource(copy, {"k": "int64", "at": TIME})) == token(source)


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("k\nx\n", {"k": "int64"}),
        ("k\n1.5\n", {"k": "int64"}),
        ("k\n2020-01-01T00:00:00\n", {"k": "timestamp"}),
        ("k,w\n1\n", {}),
        ("k,k\n1,2\n", {}),
        ("k\n1\n", {"other": "int64"}),
    ],
)
def test_csv_that_is_not_as_declared(tmp_path: Path, text: str, types: dict[str, Any]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises((SchemaMismatchError, CorruptDataError), match=r"a\.csv"):
        read_all(CsvSource(path, types))


# -- queries ---------------------------------------------------------------------------------


def test_a_duckdb_query(tmp_path: Path) -> None:
    database = str(tmp_path / "a.duckdb")
    with duckdb.connect(database) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS k, range * 2 AS v FROM range(5)")
    source = DuckDbQuery("SELECT k, v FROM t ORDER BY k", database)
    check_reading(source, [{"k": k, "v": 2 * k} for k in range(5)])
    before = source.parts()[0]
    assert before.rows == 5
    with duckdb.connect(database) as connection:
        connection.execute("UPDATE t SET v = 0 WHERE k = 3")
    assert token(source) != before.token
    with pytest.raises(ConflictError):
        list(source.read(before))
    in_memory = DuckDbQuery("SELECT TIMESTAMPTZ '2020-01-01 00:00:00+00' AS at, 1 AS k")
    check_reading(in_memory, [{"at": datetime(2020, 1, 1, tzinfo=UTC), "k": 1}])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT",
        "SELECT * FROM nowhere",
        "CREATE TABLE x (k INT)",
        "SELECT 1; SELECT 2",
        "SELECT 1 k, 2 k",
    ],
)
def test_duckdb_queries_that_are_refused(sql: str) -> None:
    with pytest.raises(InputError):
        DuckDbQuery(sql).parts()


def test_duckdb_errors_while_rows_come(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        DuckDbQuery("SELECT 1", str(tmp_path / "absent.duckdb")).parts()
    late = (
        "SELECT CASE WHEN range = 300000 THEN error('late') ELSE range END AS k FROM range(400000)"
    )
    with pytest.raises(InputError, match="late"):
        DuckDbQuery(late).parts()


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS sources CASCADE")
        connection.execute("CREATE SCHEMA sources")
        yield postgres_url
        connection.execute("DROP SCHEMA sources CASCADE")


def test_a_postgres_query(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE sources.t (k bigint, i2 smallint, f4 real, f8 double precision, s text, "
            "b bytea, d date, ts timestamp, tz timestamptz, n numeric(12, 3), a int[], ok boolean)"
        )
        connection.execute(
            "INSERT INTO sources.t VALUES (1, -2, 0.5, 'NaN', '', '\\x00ff', '2020-02-29', "
            "'2020-01-01 12:00:00.000001', '2020-01-01 12:00:00+02', -1.005, '{1,NULL}', true), "
            "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
        )
    source = PostgresQuery(database, "SELECT * FROM sources.t ORDER BY k")
    assert source.schema().types[1:] == [
        *(pa.int16(), pa.float32(), pa.float64(), pa.string(), pa.binary(), pa.date32()),
        *(TIME, TIME, pa.decimal128(12, 3), pa.list_(pa.int32()), pa.bool_()),
    ]
    first, second = read_all(source)
    assert first.pop("f8") != first.get("f8")
    assert first == {
        **{"k": 1, "i2": -2, "f4": 0.5, "s": "", "b": b"\x00\xff", "d": date(2020, 2, 29)},
        "ts": datetime(2020, 1, 1, 12, 0, 0, 1, UTC),
        "tz": datetime(2020, 1, 1, 10, tzinfo=UTC),
        **{"n": Decimal("-1.005"), "a": [1, None], "ok": True},
    }
    assert set(second.values()) == {2, None}
    check_reading(
        PostgresQuery(database, "SELECT k, s FROM sources.t ORDER BY k"),
        [{"k": 1, "s": ""}, {"k": 2, "s": None}],
    )
    empty = PostgresQuery(database, "SELECT k FROM sources.t WHERE false")
    assert read_all(empty) == []
    assert empty.schema().names == ["k"]


def test_a_postgres_result_that_changes(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE sources.t AS SELECT generate_series(1, 40000) AS k")
        source = PostgresQuery(database, "SELECT k FROM sources.t ORDER BY k")
        part = source.parts()[0]
        assert part.rows == 40_000
        reading = source.read(part)
        rows = next(reading).num_rows
        connection.execute("DELETE FROM sources.t")  # the snapshot under way does not see it
        assert rows + sum(batch.num_rows for batch in reading) == 40_000
        with pytest.raises(ConflictError):
            list(source.read(part))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM sources.nowhere",
        "CREATE TABLE sources.x (k int)",
        "SELECT 1 AS k, 2 AS k",
        "SELECT '{}'::json AS j",
        "SELECT 1.5::numeric AS n",
        "SELECT 1/0 AS k",
    ],
)
def test_postgres_queries_that_are_refused(database: str, sql: str) -> None:
    with pytest.raises(InputError):
        PostgresQuery(database, sql).parts()


def test_a_postgres_query_cannot_write(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE sources.numbers")
    with pytest.raises(InputError, match="read-only"):
        PostgresQuery(database, "SELECT nextval('sources.numbers') AS k").parts()


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://someone:very-secret@127.0.0.1:1/none",
        "host=127.0.0.1 port=1 user=someone password=very-secret",
        "postgresql://someone:very-secret@[broken",
        "password='very-secret",
        "postgresql://someone:very-secret@127.0.0.1:1/none?very-secret=1",
    ],
)
def test_a_password_is_in_no_error(dsn: str) -> None:
    with pytest.raises((StoreUnavailableError, ConfigError)) as raised:
        PostgresQuery(dsn, "SELECT 1 AS k").parts()
    error: BaseException | None = raised.value
    while error is not None:
        assert "very-secret" not in str(error)
        error = error.__cause__


# -- Iceberg ---------------------------------------------------------------------------------


@pytest.fixture
def iceberg(tmp_path: Path) -> Any:
    from pyiceberg.catalog import load_catalog

    properties = {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path}/theirs.db",
        "warehouse": str(tmp_path / "theirs"),
    }
    catalog = load_catalog("theirs", **properties)
    catalog.create_namespace("ns")
    table = catalog.create_table("ns.t", TABLE.schema)
    # The catalog's name is part of its rows.
    return {**properties, "name": "theirs"}, table


def test_iceberg_appends_are_parts(iceberg: Any) -> None:
    properties, table = iceberg
    source = IcebergSource(properties, "ns.t")
    assert source.parts() == []
    table.append(TABLE.slice(0, 2))
    (first,) = source.parts()
    table.append(TABLE.slice(2, 1))
    table.append(TABLE.slice(3, 1))
    assert source.parts()[0] == first
    assert [part.rows for part in source.parts()] == [2, 1, 1]
    check_reading(source, TABLE.to_pylist())
    table.delete("k = 1")
    (whole,) = source.parts()
    assert whole.token != first.token
    assert sorted(row["s"] or "" for row in read_all(source)) == ["", "", "d"]
    with pytest.raises(InputError):
        list(source.read(first))


def test_an_absent_iceberg_table(iceberg: Any) -> None:
    with pytest.raises(InputError, match=r"ns\.none"):
        IcebergSource(iceberg[0], "ns.none").parts()


# -- by name ---------------------------------------------------------------------------------


def test_open_source(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    assert read_all(open_source("parquet", {"path": path})) == TABLE.to_pylist()
    assert isinstance(open_source("frame", {"frame": TABLE}), FrameSource)
    assert isinstance(open_source("duckdb", {"sql": "SELECT 1"}), DuckDbQuery)
    assert isinstance(open_source("postgres", {"dsn": "", "sql": "SELECT 1"}), PostgresQuery)
    for kind, options, words in (
        ("parqet", {}, "parquet"),
        ("parquet", {}, "path"),
        ("parquet", {"path": path, "pth": 1}, "pth"),
    ):
        with pytest.raises(ConfigError, match=words):
            open_source(kind, options)


def test_one_backend_does_not_load_another() -> None:
    script = (
        "import sys; from noskew.stores.sources import open_source;"
        "open_source('parquet', {'path': 'x'});"
        "sys.exit(', '.join(m for m in ('pyiceberg', 'duckdb', 'psycopg') if m in sys.modules)"
        " or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
