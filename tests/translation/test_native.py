"""What PostgreSQL or Spark runs itself is what DuckDB computes, or there is no certificate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

import noskew as ns
from noskew.certification.other_engines import other_engines
from noskew.certification.outcomes import compare_outcomes, run_in_batches
from noskew.certification.transform_paths import bulk, runner_of
from noskew.clock import FixedClock
from noskew.config import Config
from noskew.errors import CertificateError, TransformError
from noskew.intake.tables import table_name
from noskew.kernel.bits import differences
from noskew.registry.records.certificate import Certificate
from noskew.stores.offline.base import EVENT_TIME, KNOWN_TIME, SEQUENCE
from noskew.training.spark.runners import Runners
from tests.translation import test_postgres, test_spark
from tests.translation.engines import select
from tests.translation.rows import SOURCE, USER, table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOW = FixedClock("2030-01-01T00:00:00Z")
QUERY = "SELECT * FROM clicks ORDER BY place"
COLUMNS = {
    "userId": int,
    "at": "timestamp",
    "seen": "timestamp",
    "id": str,
    "x": float,
    "tags": "list<string>",
    "n": "int32",
}
CLICKS = ns.Source(
    "Clicks", COLUMNS, event_time="at", created="seen", event_id="id", batch=ns.Postgres(QUERY)
)
CLICKER = ns.Entity("clicker", {"userId": int})
SELECTS = {
    "plain": "SELECT x * 2 AS twice, n FROM clicks",
    "star": "SELECT *, x * 2 AS twice FROM Clicks WHERE n > 3",
    "star in the middle": "SELECT x * 2 AS twice, c.* FROM clicks AS c",
    "with": "WITH a AS (SELECT *, X + 1 AS Y FROM clicks WHERE x > 1) "
    "SELECT b.y - 1 AS Twice, N FROM a AS b WHERE b.Y < 90",
    "nested": "SELECT t AS twice, n FROM (SELECT x + x AS T, n FROM clicks) AS inside",
    "its own key": "SELECT userid + 1 AS userId, x AS twice, n FROM clicks",
    "its own time": "SELECT coalesce(seen, at) AS at, x AS twice, n FROM clicks",
    "a clock of another use": "SELECT at AS seen, x AS twice, n FROM clicks",
    "quotes": "SELECT CASE WHEN id LIKE '%s%' THEN x END AS twice, n FROM clicks",
}


def clicks(rows: int = 400) -> pa.Table:
    place = np.arange(rows)
    at = pa.array(1_700_000_000_000_000 + place // 3 * 60_000_000).view(pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "userId": pa.array(place % 7, mask=place % 50 == 1),
            "at": at,
            "seen": pa.compute.if_else(pa.array(place % 5 == 0), None, at),
            "id": pa.array(["it's" if i % 9 == 0 else f"%s{i // 2}" for i in place.tolist()]),
            "x": pa.array(place / 3, mask=place % 11 == 0),
            "tags": pa.array([["a", None, str(i)][: i % 4] for i in place.tolist()]),
            "n": pa.array(place % 10, pa.int32()),
        }
    )


def view(text: str, dialect: str, *, native: bool = True) -> ns.FeatureView:
    name = "Twice" if "Twice" in text else "twice"
    transform = ns.sql(text, dialect=dialect, native=native)
    return ns.FeatureView(
        "clicked", entity=CLICKER, source=CLICKS, features=[name, "n"], transform=transform
    )


def ingested(root: Path, definition: ns.FeatureView, data: Any = None) -> tuple[Any, pa.Table]:
    """What an ingest reports, and the facts in the order of their sequences."""
    with ns.FeatureStore(root, project="p", clock=NOW) as store:
        store.apply([definition], uncertified=True)
        (report,) = store.ingest("Clicks", data)
        (again,) = store.ingest("Clicks", data)
        assert (again.rows, again.repeated) == (0, 1)
        names = [*definition.columns, EVENT_TIME, KNOWN_TIME, "_event_id", SEQUENCE]
        read = store.offline.read(table_name(definition), names).sort_by(SEQUENCE)
        return report, read.drop_columns([SEQUENCE]).combine_chunks()


def equal_facts(
    tmp_path: Path, text: str, dialect: str, data: Any = None, rows: pa.Table | None = None
) -> None:
    """``data`` is what the engine reads; ``rows``: the same rows, else :func:`clicks`."""
    rows = clicks() if rows is None else rows
    here, facts = ingested(tmp_path / "here", view(text, dialect, native=False), rows)
    there, others = ingested(tmp_path / "there", view(text, dialect), data)
    assert differences(facts, others) == {}
    assert (here.rows, here.refused) == (there.rows, there.refused)
    assert here.rows > 50


def known_again(root: Path, definition: ns.FeatureView, first: Any, then: Any) -> None:
    """The same rows by two ways, of which an engine runs one, are ingested once; more are added."""
    with ns.FeatureStore(root, project="p", clock=NOW) as store:
        store.apply([definition], uncertified=True)
        (before,) = store.ingest("Clicks", first)
        (again,) = store.ingest("Clicks", then)
        assert (again.rows, again.known) == (0, before.rows)
        more = clicks().slice(0, 40)
        later = pa.compute.add(more["at"], pa.scalar(1, pa.duration("us")))
        place = more.column_names.index("at")
        (added,) = store.ingest("Clicks", more.set_column(place, "at", later))
        assert added.rows > 0


# ------------------------------------------------------------------- PostgreSQL


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[str]:
    """A database with the clicks, whose server is set to what a certificate must not depend on."""
    with psycopg.connect(postgres_url, autocommit=True) as made:
        made.execute("DROP DATABASE IF EXISTS clicks")
        made.execute("CREATE DATABASE clicks")
        made.execute("ALTER DATABASE clicks SET TimeZone = 'America/New_York'")
        made.execute("ALTER DATABASE clicks SET DateStyle = 'German'")
    url = f"{postgres_url.rpartition('/')[0]}/clicks"
    with psycopg.connect(url, autocommit=True) as made:
        made.execute(
            'CREATE TABLE clicks (place integer, "userId" integer, at timestamptz, seen timestamptz'
            ", id text, x float8, tags text[], n smallint)"
        )
        with made.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO clicks VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [(i, *row.values()) for i, row in enumerate(clicks().to_pylist())],
            )
    yield url
    with psycopg.connect(postgres_url, autocommit=True) as made:
        made.execute("DROP DATABASE clicks")


@pytest.fixture
def in_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)


@pytest.mark.parametrize("name", SELECTS)
@pytest.mark.usefixtures("in_database")
def test_postgresql_makes_the_facts_that_duckdb_makes(tmp_path: Path, name: str) -> None:
    equal_facts(tmp_path, SELECTS[name], "postgres")


@pytest.mark.parametrize("name", SELECTS)
@pytest.mark.usefixtures("in_database")
def test_rows_that_postgresql_has_read_are_known_in_a_frame(tmp_path: Path, name: str) -> None:
    known_again(tmp_path, view(SELECTS[name], "postgres"), None, clicks())


@pytest.mark.usefixtures("in_database")
@pytest.mark.parametrize(
    "data", [clicks(), ns.Postgres(QUERY, dsn_env="OTHER_URL")], ids=["a frame", "another server"]
)
def test_rows_from_elsewhere_are_computed_here(
    tmp_path: Path, data: Any, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_URL", f"{database}?options=-ctransform_null_equals%3Don")
    text = "SELECT CASE WHEN x = NULL THEN 1 ELSE 2 END AS twice, n FROM clicks"
    equal_facts(tmp_path, text, "postgres", data)


def verified(root: Path, definition: ns.FeatureView, **config: Any) -> Certificate:
    config = {"project": "p", **config}
    with ns.FeatureStore(root, config=Config(**config), clock=NOW) as store:
        (made,) = store.verify(definitions=[definition], sample=100)
        return made


@pytest.mark.usefixtures("in_database")
def test_a_certificate_compares_postgresql_and_names_its_version(tmp_path: Path) -> None:
    made = verified(tmp_path, view(SELECTS["with"], "postgres"))
    assert made.is_equal, made.differences
    (path,) = (p for p in made.paths if p.name == "PostgreSQL itself")
    assert path.rows > 200
    assert made.sample_rows == 100
    assert made.libraries["postgresql"]


def test_what_a_setting_of_the_server_changes_is_found(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{database}?options=-ctransform_null_equals%3Don")
    text = "SELECT CASE WHEN x = NULL THEN 1 ELSE 2 END AS twice, n FROM clicks"
    made = verified(tmp_path, view(text, "postgres"))
    assert not made.is_equal
    assert {d.path for d in made.differences} == {"PostgreSQL itself"}
    assert "PostgreSQL computes something else than DuckDB" in made.cause
    with ns.FeatureStore(tmp_path, project="p", clock=NOW) as store:
        with pytest.raises(CertificateError, match="PostgreSQL itself"):
            store.apply([view(text, "postgres")])
        store.apply([view(text, "postgres", native=False)])


def test_without_the_database_nothing_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/none")
    with ns.FeatureStore(tmp_path, project="p", clock=NOW) as store:
        with pytest.raises(CertificateError, match="compares PostgreSQL with DuckDB") as caught:
            store.apply([view(SELECTS["plain"], "postgres")])
        assert "secret" not in str(caught.value)
        assert store.applied.version == 0


# ------------------------------------------------------------------- Spark


@pytest.mark.parametrize("name", SELECTS)
def test_spark_makes_the_facts_that_duckdb_makes(
    tmp_path: Path, name: str, spark_session: SparkSession
) -> None:
    frame = spark_session.createDataFrame(clicks()).repartition(1)
    before = spark_session.conf.getAll
    equal_facts(tmp_path, SELECTS[name], "spark", frame)
    assert spark_session.conf.getAll == before


@pytest.mark.parametrize("name", SELECTS)
def test_rows_that_spark_has_read_are_known_in_a_frame(
    tmp_path: Path, name: str, spark_session: SparkSession
) -> None:
    frame = spark_session.createDataFrame(clicks())
    known_again(tmp_path / "there", view(SELECTS[name], "spark"), frame, clicks())
    known_again(tmp_path / "back", view(SELECTS[name], "spark"), clicks(), frame)


@pytest.mark.parametrize("writer", ["arrow", "spark"])
@pytest.mark.parametrize("kind", ["parquet", "orc"])
def test_spark_skips_nothing_in_a_file_for_its_statistics(
    tmp_path: Path, kind: str, writer: str, spark_session: SparkSession
) -> None:
    """Writers leave NaN out of them, and NaN is greater than all numbers."""
    x = pa.array(np.where(np.arange(400) % 5 == 4, np.nan, 1.0))
    rows = clicks().set_column(4, "x", x)
    path = str(tmp_path / f"clicks.{kind}")
    if writer == "spark":
        spark_session.createDataFrame(rows).repartition(1).write.format(kind).save(path)
    else:
        (pq.write_table if kind == "parquet" else orc.write_table)(rows, path)
    frame = spark_session.read.format(kind).load(path)
    before = spark_session.conf.getAll
    text = "SELECT x AS twice, n FROM clicks WHERE x > 5"
    equal_facts(tmp_path, text, "spark", frame, rows)
    assert spark_session.conf.getAll == before


def test_a_frame_keeps_the_order_of_its_rows(tmp_path: Path, spark_session: SparkSession) -> None:
    text = "SELECT x AS twice, n FROM clicks WHERE n <> 4"
    frame = spark_session.createDataFrame(clicks())  # of several partitions
    assert frame.rdd.getNumPartitions() > 1
    equal_facts(tmp_path, text, "spark", frame)


def test_a_certificate_compares_spark_and_its_tasks(
    tmp_path: Path, spark_session: SparkSession
) -> None:
    made = verified(tmp_path, view(SELECTS["nested"], "spark"), runner="spark")
    assert made.is_equal, made.differences
    rows = {p.name: p.rows for p in made.paths}
    assert rows["Spark itself"] > 100
    assert rows["Spark's tasks"] > 100
    assert made.libraries["pyspark"] == spark_session.version


def test_last_bits_that_differ_on_spark_are_found(
    tmp_path: Path, spark_session: SparkSession
) -> None:
    made = verified(tmp_path, view("SELECT cbrt(x) AS twice, n FROM clicks", "spark"))
    assert {(d.path, d.column) for d in made.differences} == {("Spark itself", "twice")}
    assert "Spark computes something else than DuckDB" in made.cause


def test_columns_that_differ_by_capitals_alone_are_refused(
    tmp_path: Path, spark_session: SparkSession
) -> None:
    text = "SELECT userid + 1 AS userid, x AS twice, n FROM clicks"
    with pytest.raises(CertificateError, match="which knows no capital letters"):
        verified(tmp_path, view(text, "spark"))


def test_a_function_that_reads_the_environment_differs_in_tasks_of_spark(
    tmp_path: Path, spark_session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOSKEW_TEST_FACTOR", "3")  # which processes of Spark do not have
    definition = ns.FeatureView(
        "view",
        entity=CLICKER,
        source=replace(CLICKS, batch=None),
        features=["made"],
        transform=ns.arrow(by_environment, schema={"made": float}),
    )
    with Runners(Config(project="p", runner="spark"), tmp_path) as runners:
        (engine,) = other_engines(definition, 0, runners, thorough=True)
        expected = bulk(runner_of(definition, 0), clicks())
        everything = np.arange(len(clicks()))
        made = run_in_batches(engine.run, clicks(), [everything])
    assert engine.path == "Spark's tasks"
    assert {u.column for u in compare_outcomes(expected, made, everything)} == {"made"}


def by_environment(rows: pa.Table) -> pa.Table:
    import os

    factor = float(os.environ.get("NOSKEW_TEST_FACTOR", "2"))
    return pa.table({"made": pa.compute.multiply(rows["x"], factor)})


# ------------------------------------------------------------------- every expression


def differing(expressions: list[str], dialect: str, runners: Runners | None) -> dict[str, Any]:
    """What each expression gives that differs between DuckDB and the engine, and an example."""
    names = [f"c{i}" for i in range(len(expressions))]
    source = SOURCE if dialect == "spark" else replace(SOURCE, batch=ns.Postgres("SELECT 1"))
    definition = ns.FeatureView(
        "view",
        entity=USER,
        source=source,
        features=names,
        transform=ns.sql(select(expressions), dialect=dialect, native=True),
    )
    rows = table()
    expected = bulk(runner_of(definition, 0), rows)
    assert not expected.failed
    (engine,) = other_engines(definition, 0, runners, thorough=False)
    can = np.flatnonzero(engine.can_take(rows))
    made = run_in_batches(engine.run, rows, [can], expected.events.schema)
    assert len(can) > len(rows) // 2
    found = compare_outcomes(expected, made, can)
    return {expressions[int(u.column[1:])] if u.column else "": (u.left, u.right) for u in found}


def exact(expressions: list[str], close: Mapping[str, Any] | set[str]) -> list[str]:
    return [e for e in expressions if not any(f"{n}(" in e or n in e.split() for n in close)]


@pytest.mark.usefixtures("in_database")
def test_every_expression_of_postgresql_is_the_same_pushed_down() -> None:
    expressions = [e for e in exact(test_postgres.ALL, test_postgres.CLOSE) if "^" not in e]
    assert len(expressions) > 200
    assert differing(expressions, "postgres", None) == {}


def test_every_expression_of_spark_is_the_same_pushed_down(spark: SparkSession) -> None:
    expressions = exact([*test_spark.ALL, *test_spark.MATCHES], test_spark.CLOSE)
    assert len(expressions) > 500
    with Runners(Config(project="p"), Path()) as runners:
        assert differing(expressions, "spark", runners) == {}


# ------------------------------------------------------------------- definitions


def test_being_native_is_part_of_the_definition() -> None:
    plain, native = (view(SELECTS["plain"], "spark", native=n) for n in (False, True))
    assert plain.log_hash != native.log_hash
    assert "native" not in plain.identity()["transform"]
    again = ns.FeatureView.from_dict(native.to_dict(), entity=CLICKER, source=CLICKS)
    assert again.transform == native.transform
    assert again.definition_hash == native.definition_hash


@pytest.mark.parametrize(
    ("options", "source", "reason"),
    [
        ({"dialect": "duckdb"}, CLICKS, "native=True needs a dialect"),
        ({"dialect": "bigquery"}, CLICKS, "dialect='postgres'"),
        (
            {"dialect": "postgres"},
            replace(CLICKS, batch=ns.Parquet("x")),
            "give source 'Clicks' batch",
        ),
        ({"dialect": "spark"}, replace(CLICKS, filter="n > 1"), "as the WHERE of the SELECT"),
    ],
)
def test_what_cannot_be_pushed_down_is_refused(
    options: dict[str, Any], source: ns.Source, reason: str
) -> None:
    with pytest.raises(TransformError, match=reason):
        ns.FeatureView(
            "clicked",
            entity=CLICKER,
            source=source,
            features=["n"],
            transform=ns.sql(SELECTS["plain"], native=True, **options),
        )
