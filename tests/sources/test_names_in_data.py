"""What the data calls columns: names that are no identifiers, in every form of data."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from fastavro import parse_schema, schemaless_writer

import noskew as ns
from noskew.definitions.source import Source
from noskew.errors import DefinitionError, SchemaMismatchError
from noskew.intake.messages import encode_arrow
from noskew.registry.source_differences import source as difference
from noskew.streaming.decoding.factory import decoder
from noskew.training.ingest import open_connector

SCHEMA = {"uid": int, "at": "timestamp[s]", "price": float}
NAMES = {"uid": "Customer ID", "price": 'the "price", in €'}
PLAIN = {NAMES["price"]: "the price, in €"}
THEIRS = pa.table(
    {
        # A column of a declared name that is declared to be called otherwise.
        "uid": ["not this", "one"],
        "Customer ID": [1, 2],
        "at": [86_400, 172_800],
        'the "price", in €': [0.5, None],
        "_fivetran_synced": [True, True],
    }
)
DAY = 86_400
RIGHT = [
    {"uid": 1, "at": pd.Timestamp(DAY, unit="s", tz="UTC"), "price": 0.5},
    {"uid": 2, "at": pd.Timestamp(2 * DAY, unit="s", tz="UTC"), "price": None},
]
USER = ns.Entity("user", {"uid": int})


def source(**options: Any) -> ns.Source:
    return ns.Source("s", SCHEMA, event_time="at", columns=NAMES, **options)


def _parquet(place: Path) -> Any:
    pq.write_table(THEIRS, place / "a.parquet")
    return ns.Parquet(str(place / "a.parquet"))


def _csv(place: Path) -> Any:
    pacsv.write_csv(THEIRS, place / "a.csv")
    return ns.Csv(str(place / "a.csv"))


def _duckdb(place: Path) -> Any:
    with duckdb.connect(str(place / "a.duckdb")) as connection:
        connection.register("given", THEIRS)
        connection.execute("CREATE TABLE t AS SELECT * FROM given")
    return ns.DuckDb('SELECT * FROM t ORDER BY "at"', str(place / "a.duckdb"))


def _iceberg(place: Path) -> Any:
    from pyiceberg.catalog import load_catalog

    settings = {"type": "sql", "uri": f"sqlite:///{place}/c.db", "warehouse": f"file://{place}/w"}
    catalog = load_catalog("theirs", **settings)
    catalog.create_namespace("n")
    catalog.create_table("n.t", schema=THEIRS.schema).append(THEIRS)
    return ns.Iceberg("n.t", {**settings, "name": "theirs"})


FORMS: dict[str, Callable[[Path], Any]] = {
    "Parquet": _parquet,
    "CSV": _csv,
    "DuckDB": _duckdb,
    "Iceberg": _iceberg,
    "Arrow": lambda _: THEIRS,
    "pandas": lambda _: THEIRS.to_pandas(),
    "Polars": lambda _: pl.from_arrow(THEIRS),
}


def ingested(store: ns.FeatureStore, data: Any, declared: ns.Source) -> list[dict[str, Any]]:
    """What the store says of the entities after an ingest, by event time, known all at once."""
    view = ns.FeatureView("v", entity=USER, source=declared, features=["price"])
    store.apply([ns.FeatureService("svc", [view])], uncertified=True)
    assert [report.rows for report in store.ingest("s", data)] == [2]
    assert [report.rows for report in store.ingest("s", data)] == [0], "known again"
    days = ["1970-01-02T00:00:00Z", "1970-01-03T00:00:00Z"]
    asked = pa.table({"uid": [1, 2], "event_timestamp": days})
    return store.get_historical_features(asked, "svc").to_arrow().to_pylist()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data(tmp_path: Path, form: str) -> None:
    data = FORMS[form](tmp_path)
    with ns.FeatureStore(tmp_path / "project", project="p") as store:
        found = ingested(store, data, source())
    assert [row["price"] for row in found] == [0.5, None]


def test_postgres(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    query = """SELECT 'not this' AS uid, 1 AS "Customer ID", 86400::numeric AS at,
        0.5::numeric AS "the ""price"", in €" UNION ALL SELECT 'one', 2, 172800, NULL ORDER BY at"""
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute(query.encode()).rowcount == 2
    with ns.FeatureStore(tmp_path, project="p") as store:
        found = ingested(store, ns.Postgres(query), source())
    assert [row["price"] for row in found] == [0.5, None]


def test_a_folder_s_name_and_an_older_file(tmp_path: Path) -> None:
    for folder, table in (("Customer%20ID=1", THEIRS), ("Customer%20ID=2", THEIRS)):
        (tmp_path / folder).mkdir()
        small = table.select(["at"] if folder.endswith("1") else ["at", NAMES["price"]])
        pq.write_table(small.slice(int(folder[-1]) - 1, 1), tmp_path / folder / "a.parquet")
    declared = source()
    opened = open_connector(ns.Parquet(str(tmp_path)), declared.schema, declared.columns)
    found = [r for p in opened.parts() for b in opened.read(p, list(SCHEMA)) for r in b.to_pylist()]
    assert found == [
        {"uid": 1, "at": 86_400, "price": None},
        {"uid": 2, "at": 172_800, "price": None},
    ]
    assert set(SCHEMA) <= set(opened.schema().names)
    assert [b.schema.names for b in opened.sample(1, ["price", "uid"])] == [["price", "uid"]]


# ---------------------------------------------------------------------------------- messages


def _json() -> tuple[ns.Kafka, list[bytes]]:
    table = THEIRS.rename_columns([PLAIN.get(name, name) for name in THEIRS.column_names])
    return ns.Kafka("t"), [json.dumps(row).encode() for row in table.to_pylist()]


def _arrow() -> tuple[ns.Kafka, list[bytes]]:
    return ns.Kafka("t", "arrow"), [encode_arrow(THEIRS)]


def _avro() -> tuple[ns.Kafka, list[bytes]]:
    schema = {
        "type": "record",
        "name": "e",
        "fields": [{"name": "customer", "type": "long"}, {"name": "at", "type": "long"}],
    }
    texts = []
    for row in THEIRS.to_pylist():
        out = io.BytesIO()
        schemaless_writer(
            out, parse_schema(schema), {"customer": row["Customer ID"], "at": row["at"]}
        )
        texts.append(out.getvalue())
    return ns.Kafka("t", "avro", schema=json.dumps(schema)), texts


@pytest.mark.parametrize("make", [_json, _arrow, _avro])
def test_messages(make: Callable[[], tuple[ns.Kafka, list[bytes]]]) -> None:
    stream, texts = make()
    names, right = NAMES, RIGHT
    if make is _json:  # which escapes quotes in names
        names = {name: PLAIN.get(theirs, theirs) for name, theirs in NAMES.items()}
    if make is _avro:  # whose names are identifiers
        names, right = {"uid": "customer"}, [{**row, "price": None} for row in RIGHT]
    declared = ns.Source("s", SCHEMA, event_time="at", columns=names, stream=stream)
    made = decoder(declared)(pa.array(texts, pa.large_binary()))
    assert (made.rows.to_pylist(), made.bad) == (right, {})


def test_a_message_at_fault_is_named_as_its_writer_knows_it() -> None:
    named = {"uid": "Customer ID"}
    declared = ns.Source("s", SCHEMA, event_time="at", columns=named, stream=ns.Kafka("t"))
    made = decoder(declared)(
        pa.array([b'{"Customer ID": "x", "at": 1}', b'{"uid": 7, "at": 1.5}'], pa.large_binary())
    )
    assert "$.Customer ID" in made.bad[0]
    assert "1.5 is no whole number" in made.bad[1]
    with pytest.raises(SchemaMismatchError, match=r'quotes.*the "price"'):
        decoder(source(stream=ns.Kafka("t")))
    missing = decoder(source(stream=ns.Kafka("t", "arrow")))(
        pa.array([encode_arrow(THEIRS.drop_columns(["Customer ID"]))], pa.large_binary())
    )
    assert "'uid' is not there" in missing.bad[0]


def test_pushed_rows_have_the_declared_names(tmp_path: Path) -> None:
    declared = source(stream=ns.LocalLog())
    view = ns.FeatureView("v", entity=USER, source=declared, features=["price"])
    with ns.FeatureStore(tmp_path, project="p") as store:
        store.apply([ns.FeatureService("svc", [view])], uncertified=True)
        store.push("s", pa.table({"uid": [1], "at": [86_400], "price": [0.5]}))
        with pytest.raises(SchemaMismatchError, match="uid"):
            store.push("s", THEIRS.drop_columns(["uid"]))


# ------------------------------------------------------------------------------- definitions


def test_it_says_where_a_value_is_and_not_what_it_is() -> None:
    plain = ns.Source("s", SCHEMA, event_time="at")
    assert source().identity() == plain.identity()
    assert "columns" not in plain.to_dict()
    again = Source.from_dict(source().to_dict())
    assert again.columns == source().columns == NAMES
    assert difference(plain, source()).reasons == [
        """column price in the data: price -> the "price", in €""",
        "column uid in the data: uid -> Customer ID",
    ]
    assert ns.Source("s", SCHEMA, event_time="at", columns={"uid": "uid"}).columns == {}


def test_other_names_are_other_parts(tmp_path: Path) -> None:
    """Else rows of other columns would be taken for those that are there already."""
    data = _parquet(tmp_path)
    tokens = set()
    for names in ({}, NAMES, {"price": "Customer ID", "uid": "price"}):
        (part,) = open_connector(data, source().schema, names).parts()
        tokens.add(part.token)
    assert len(tokens) == 3


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"user": "Customer ID"}, r"'user'.*is not in its schema"),
        ({"uid": "x", "price": "x"}, r"'uid' and 'price' are both 'x'"),
        ({"uid": "price"}, r"'uid' and 'price' are both 'price'"),
        ({"uid": ""}, r"'uid'.*got ''"),
        ({"uid": 5}, r"'uid'.*got 5"),
    ],
)
def test_names_that_are_refused(names: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        ns.Source("s", SCHEMA, event_time="at", columns=names)


def test_names_may_change_places() -> None:
    declared = ns.Source(
        "s", {"a": int, "at": "timestamp", "b": int}, event_time="at", columns={"a": "b", "b": "a"}
    )
    data = ns.Frame(pa.table({"a": [1], "b": [2], "at": [0]}))
    opened = open_connector(data, declared.schema, declared.columns)
    (batch,) = opened.read(opened.parts()[0], ["a", "b"])
    assert batch.to_pylist() == [{"a": 2, "b": 1}]
