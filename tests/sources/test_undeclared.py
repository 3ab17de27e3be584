"""A column that nobody declared does not matter, whatever its type, name or values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import noskew as ns
from noskew.errors import InputError, SchemaMismatchError
from noskew.training.ingest import open_connector
from noskew.types import Schema
from tests.sources.declared import rows

SCHEMA = {"uid": int, "x": float}
RIGHT = [{"uid": 1, "x": 0.5}, {"uid": 2, "x": None}]
PLAIN = pa.table({"uid": [1, 2], "x": [0.5, None]})
TAGS = pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64()))
ODD = {
    "map": TAGS,
    "struct of a map": pa.StructArray.from_arrays([TAGS], ["m"]),
    "union": pa.UnionArray.from_sparse(
        pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
    ),
    "list view": pa.array([[1], None], pa.list_view(pa.int64())),
    "run ends": pc.run_end_encode(pa.array(["a", "a"])),
    "interval": pa.array([pa.MonthDayNano([1, 2, 3]), None]),
    "duration": pa.array([5, None], pa.duration("s")),
    "dictionary of views": pa.DictionaryArray.from_arrays(
        [0, None], pa.array(["a"], pa.string_view())
    ),
}
FRAMES: dict[str, Callable[[], Any]] = {
    **{name: lambda odd=odd: PLAIN.append_column("odd", odd) for name, odd in ODD.items()},
    "a name that is twice there": lambda: pa.Table.from_arrays(
        [*PLAIN.columns, pa.array([1, 1]), pa.array([2, 2])], ["uid", "x", "odd", "odd"]
    ),
    "pandas, mixed objects": lambda: pd.DataFrame(
        {"uid": [1, 2], "x": [0.5, None], "odd": ["a", 1]}
    ),
    "pandas, a name that is twice there": lambda: pd.DataFrame(
        [[1, 0.5, "a", "b"], [2, None, "a", "b"]], columns=["uid", "x", "odd", "odd"]
    ),
    "pandas, complex": lambda: pd.DataFrame({"uid": [1, 2], "x": [0.5, None], "odd": [1j, 2j]}),
    "pandas, a number as name": lambda: pd.DataFrame({"uid": [1, 2], "x": [0.5, None], 0: [1, 2]}),
    "polars, categories": lambda: pl.from_arrow(PLAIN).with_columns(
        odd=pl.Series(["a", "b"], dtype=pl.Categorical)
    ),
    "polars, objects": lambda: pl.from_arrow(PLAIN).with_columns(
        odd=pl.Series([object(), object()], dtype=pl.Object)
    ),
    "batches": lambda: PLAIN.append_column("odd", TAGS).to_batches(max_chunksize=1),
}


def token(connector: Any) -> str:
    (part,) = open_connector(connector, Schema(SCHEMA)).parts()
    return part.token


@pytest.mark.parametrize("name", FRAMES)
def test_in_frames(name: str) -> None:
    frame = ns.Frame(FRAMES[name]())
    assert rows(frame, SCHEMA) == RIGHT
    assert rows(ns.Frame(FRAMES[name]()), {"x": float}) == [{"x": r["x"]} for r in RIGHT]
    assert token(ns.Frame(FRAMES[name]())) == token(ns.Frame(PLAIN))


def test_in_files(tmp_path: Path) -> None:
    odd = PLAIN.append_column("tags", TAGS).append_column("all", pa.array([[{"a": 1}], []]))
    pq.write_table(odd, tmp_path / "a.parquet")
    assert rows(ns.Parquet(str(tmp_path)), SCHEMA) == RIGHT


@pytest.mark.parametrize(
    "odd",
    [
        "MAP {'a': 1}",
        "union_value(k := 1)",
        "INTERVAL 1 MONTH",
        "'a'::ENUM('a', 'b')",
        "TIME '12:00:00'",
        "1::HUGEINT",
        "uuid()",
        "{'m': MAP {'a': 1}}",
    ],
)
def test_in_duckdb(odd: str) -> None:
    plain = "FROM (VALUES (1, 0.5::DOUBLE), (2, NULL)) AS t(uid, x) ORDER BY uid"
    query = ns.DuckDb(f"SELECT *, {odd} AS odd {plain}")
    assert rows(query, SCHEMA) == RIGHT
    assert token(query) == token(ns.DuckDb(f"SELECT * {plain}"))


@pytest.fixture
def database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('ok', 'bad')")
        yield postgres_url
        connection.execute("DROP TYPE mood")


@pytest.mark.parametrize(
    "odd",
    ["'{}'::jsonb", "1.5::numeric", "now()", "'ok'::mood", "interval '1 month'", "point(1, 2)"],
)
def test_in_postgres(database: str, odd: str) -> None:
    plain = "FROM (VALUES (1, 0.5::float8), (2, NULL)) AS t(uid, x) ORDER BY uid"
    query = ns.Postgres(f"SELECT {odd} AS odd, t.* {plain}")
    assert rows(query, SCHEMA) == RIGHT
    assert token(query) == token(ns.Postgres(f"SELECT * {plain}"))


def test_what_is_declared_still_matters() -> None:
    frame = PLAIN.append_column("tags", TAGS)
    with pytest.raises(InputError, match=r"column 'tags'.*map"):
        rows(ns.Frame(frame), {**SCHEMA, "tags": str})
    twice = pa.Table.from_arrays([*PLAIN.columns, pa.array([3, 4])], ["uid", "x", "x"])
    with pytest.raises(SchemaMismatchError, match=r"more than once.*x"):
        rows(ns.Frame(twice), SCHEMA)
    with pytest.raises(SchemaMismatchError, match=r"no column 'y'.*tags"):
        rows(ns.Frame(frame), {**SCHEMA, "y": str})
    other = PLAIN.set_column(1, "x", pa.array([0.5, 1.0]))
    assert token(ns.Frame(other)) != token(ns.Frame(PLAIN))


def test_categories_can_be_declared() -> None:
    texts = ["a", "b", None]
    for kind in (pl.Categorical, pl.Enum(["a", "b"])):
        frame = pl.DataFrame({"s": pl.Series(texts, dtype=kind)})
        assert rows(ns.Frame(frame), {"s": str}) == [{"s": text} for text in texts]
    frame = pd.DataFrame({"s": pd.Categorical(texts)})
    assert rows(ns.Frame(frame), {"s": str}) == [{"s": text} for text in texts]


@pytest.mark.parametrize("name", [name for name in FRAMES if name != "batches"])
def test_the_store_ingests_every_frame(tmp_path: Path, name: str) -> None:
    """By all of its doors: the row's number is its time, too."""
    user = ns.Entity("user", {"uid": int})
    source = ns.Source("s", {"uid": int, "x": "timestamp[s]"}, event_time="x")
    view = ns.FeatureView("v", entity=user, source=source, features=[ns.count()])
    frame = FRAMES[name]()
    if isinstance(frame, pd.DataFrame):
        frame = frame.iloc[:1].assign(x=60.0)
    elif isinstance(frame, pl.DataFrame):
        frame = frame[:1].with_columns(x=pl.lit(60.0))
    else:
        frame = frame.slice(0, 1).set_column(1, "x", pa.array([60.0]))
    with ns.FeatureStore(tmp_path, project="p") as store:
        store.apply([ns.FeatureService("svc", [view])], uncertified=True)
        assert [report.rows for report in store.ingest("s", frame)] == [1]
        assert [
            report.rows
            for report in store.ingest("s", PLAIN[:1].set_column(1, "x", pa.array([60])))
        ] == [0]


def test_the_frame_of_the_finding_is_ingested(tmp_path: Path) -> None:
    user = ns.Entity("user", {"uid": int})
    source = ns.Source("s", {"uid": int, "ts": "timestamp"}, event_time="ts")
    view = ns.FeatureView("v", entity=user, source=source, features=[ns.count(window="1d")])
    given = pa.table({"uid": [1], "ts": ["2025-05-01T00:00:00Z"], "tags": TAGS[:1]})
    with ns.FeatureStore(tmp_path, project="p") as store:
        store.apply([ns.FeatureService("svc", [view])], uncertified=True)
        assert [r.rows for r in store.ingest("s", given)] == [1]
        assert [r.rows for r in store.ingest("s", given.drop_columns(["tags"]))] == [0]


def test_duckdb_names_are_not_asked_of_the_engine(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute('CREATE TABLE t AS SELECT 1 AS uid, 0.5::DOUBLE AS x, [1] AS "a ""b"')
    query = ns.DuckDb("SELECT * FROM t", str(tmp_path / "a.duckdb"))
    assert rows(query, SCHEMA) == RIGHT[:1]
