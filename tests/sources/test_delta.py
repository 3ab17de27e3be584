"""Delta Lake tables, written by deltalake, as they grow and change."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, TableFeatures, write_deltalake

import noskew as ns
from noskew.errors import (
    ChangedRowsError,
    CorruptDataError,
    DefinitionError,
    InputError,
    SchemaMismatchError,
)
from noskew.stores.sources import DeltaSource
from tests.sources.declared import rows

SCHEMA: dict[str, Any] = {"uid": int, "at": "timestamp", "x": float}
AT = datetime(2025, 5, 1, tzinfo=UTC)
OLD = [{"uid": 1, "at": AT, "x": 0.5}, {"uid": 2, "at": AT, "x": None}]
NEW = [{"uid": 3, "at": AT, "x": float("inf")}]
ARROW = pa.schema([("uid", pa.int64()), ("at", pa.timestamp("us", "UTC")), ("x", pa.float64())])


def write(path: Path, items: list[dict[str, Any]], mode: Any = "append", **options: Any) -> None:
    write_deltalake(path, pa.Table.from_pylist(items, ARROW), mode=mode, **options)


def in_order(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda row: (row["uid"], str(row["x"])))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "t", OLD)
    return tmp_path / "t"


@pytest.fixture
def source(path: Path) -> ns.Delta:
    return ns.Delta(str(path))


def test_appends_add_parts_and_leave_the_others(path: Path, source: ns.Delta) -> None:
    before = DeltaSource(path).parts()
    assert [(p.rows, p.path) for p in before] == [(2, "")]
    write(path, NEW)
    after = DeltaSource(path).parts()
    assert after[0] == before[0]
    assert [p.rows for p in after] == [2, 1]
    assert rows(source, SCHEMA) == OLD + NEW


def test_the_same_rows_in_another_table_are_other_parts(path: Path, tmp_path: Path) -> None:
    write(tmp_path / "u", OLD)
    assert DeltaSource(path).parts()[0].token != DeltaSource(tmp_path / "u").parts()[0].token


def test_deletes_updates_and_merges(path: Path, source: ns.Delta) -> None:
    write(path, NEW)
    DeltaTable(path).delete("uid = 1")
    assert in_order(rows(source, SCHEMA)) == [OLD[1], *NEW]
    DeltaTable(path).update(predicate="uid = 2", updates={"x": "2.5"})
    assert in_order(rows(source, SCHEMA)) == [{**OLD[1], "x": 2.5}, *NEW]
    given = pa.Table.from_pylist([{**NEW[0], "x": -1.0}, OLD[0]], ARROW)
    merge = DeltaTable(path).merge(given, "t.uid = s.uid", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    right = [OLD[0], {**OLD[1], "x": 2.5}, {**NEW[0], "x": -1.0}]
    assert in_order(rows(source, SCHEMA)) == right


def test_compaction_and_checkpoints_change_no_rows(path: Path, source: ns.Delta) -> None:
    write(path, NEW)
    DeltaTable(path).optimize.compact()
    DeltaTable(path).create_checkpoint()
    assert [p.rows for p in DeltaSource(path).parts()] == [3]
    assert in_order(rows(source, SCHEMA)) == OLD + NEW


def test_an_added_column_is_null_in_older_rows(path: Path, source: ns.Delta) -> None:
    added = pa.Table.from_pylist([{**NEW[0], "t": "a"}], ARROW.append(pa.field("t", pa.string())))
    write_deltalake(path, added, mode="append", schema_mode="merge")
    right = [*({**row, "t": None} for row in OLD), {**NEW[0], "t": "a"}]
    assert rows(source, {**SCHEMA, "t": str}) == right
    assert rows(source, SCHEMA) == OLD + NEW
    old = ns.Delta(source.path, 0)
    with pytest.raises(SchemaMismatchError, match=r"has no column 't'"):
        rows(old, {**SCHEMA, "t": str})


def test_values_of_partitions_come_from_the_log(tmp_path: Path) -> None:
    table = pa.table(
        {"uid": [1, 2, 3, 4], "d": ["x y", "a/b=%20", None, "ü"], "n": [1, 2, None, 4]}
    )
    write_deltalake(tmp_path / "t", table, partition_by=["d", "n"])
    found = rows(ns.Delta(str(tmp_path / "t")), {"uid": int, "d": str, "n": int})
    assert sorted(found, key=lambda row: row["uid"]) == table.to_pylist()
    assert rows(ns.Delta(str(tmp_path / "t")), {"d": str})[0].keys() == {"d"}


@pytest.mark.parametrize(
    "value",
    [
        datetime(2025, 5, 1, 12, 30, 0, 5, UTC),
        date(2025, 5, 1),
        Decimal("1.50"),
        True,
        0.1,
        "",
    ],
)
def test_partitions_of_every_type(tmp_path: Path, value: Any) -> None:
    table = pa.table({"uid": [1, 2], "p": [value, None]})
    write_deltalake(tmp_path / "t", table, partition_by=["p"])
    source = DeltaSource(tmp_path / "t")
    found = [row for p in source.parts() for b in source.read(p) for row in b.to_pylist()]
    # Delta has no empty text in partitions: it is null.
    right = [{**row, "p": None if row["p"] == "" else row["p"]} for row in table.to_pylist()]
    assert sorted(found, key=lambda row: row["uid"]) == right


def test_a_path_that_would_be_taken_for_another(path: Path) -> None:
    place = path.rename(path.with_name("a b ü"))
    assert rows(ns.Delta(str(place)), SCHEMA) == OLD
    with pytest.raises(InputError, match="rename the directory"):
        rows(ns.Delta(str(place.with_name("a%20b ü"))), SCHEMA)


def test_a_version_of_the_history(path: Path) -> None:
    write(path, NEW)
    write(path, NEW, mode="overwrite")
    found = [rows(ns.Delta(str(path), v), SCHEMA) for v in (0, 1, 2)]
    assert found == [OLD, OLD + NEW, NEW]
    with pytest.raises(InputError, match=r"has no version 7; the latest is 2"):
        rows(ns.Delta(str(path), 7), SCHEMA)


@pytest.mark.parametrize("version", [-1, True, "1", 1.0])
def test_what_is_no_version(version: Any) -> None:
    with pytest.raises(DefinitionError, match=r"version= is a number of the table's history"):
        ns.Delta("t", version)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    for place in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="there is no Delta table in"):
            DeltaSource(place).parts()


def test_a_file_that_was_cleaned_away(path: Path, source: ns.Delta) -> None:
    for file in path.glob("*.parquet"):
        file.unlink()
    with pytest.raises(CorruptDataError, match=r"a file of the Delta table .* is gone"):
        rows(source, SCHEMA)


def test_a_damaged_log(path: Path, source: ns.Delta) -> None:
    log(path).write_text("{")
    with pytest.raises(CorruptDataError, match=r"the log of the Delta table .* cannot be read"):
        rows(source, SCHEMA)


def test_a_table_with_deletion_vectors_is_refused(path: Path, source: ns.Delta) -> None:
    DeltaTable(path).alter.add_feature(
        TableFeatures.DeletionVectors, allow_protocol_versions_increase=True
    )
    with pytest.raises(InputError, match=r"at version 1 .* must know deletionVectors"):
        rows(source, SCHEMA)


def test_mapped_columns_without_a_list_of_features_are_refused(
    path: Path, source: ns.Delta
) -> None:
    """Such a table's files have other names; they would be read as null."""
    lines = [json.loads(line) for line in log(path).read_text().splitlines()]
    for action in lines:
        if "metaData" in action:
            action["metaData"]["configuration"] = {
                "delta.columnMapping.mode": "name",
                "delta.columnMapping.maxColumnId": "3",
            }
            schema = json.loads(action["metaData"]["schemaString"])
            for number, field in enumerate(schema["fields"], 1):
                field["metadata"] = {
                    "delta.columnMapping.id": number,
                    "delta.columnMapping.physicalName": f"col-{number}",
                }
            action["metaData"]["schemaString"] = json.dumps(schema)
        if "protocol" in action:
            action["protocol"] = {"minReaderVersion": 2, "minWriterVersion": 5}
    log(path).write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(InputError, match=r"must know columnMapping"):
        rows(source, SCHEMA)


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_batches_are_bounded_and_in_order(tmp_path: Path, batch_rows: int) -> None:
    write_deltalake(tmp_path / "t", pa.table({"uid": range(100)}))
    source = DeltaSource(tmp_path / "t")
    (part,) = source.parts()
    batches = list(source.read(part, ["uid"], batch_rows=batch_rows))
    assert max(b.num_rows for b in batches) <= batch_rows
    assert [v for b in batches for v in b.column(0).to_pylist()] == list(range(100))


def test_ingest_knows_rows_again(path: Path, tmp_path: Path) -> None:
    def report() -> tuple[int, int, int]:
        (found,) = store.ingest()
        return found.rows, found.known, found.retracted

    source = ns.Source("s", SCHEMA, event_time="at", batch=ns.Delta(str(path)), changes="replace")
    user = ns.Entity("user", {"uid": int})
    view = ns.FeatureView("v", entity=user, source=source, features=[ns.count()])
    asked = {"uid": [1, 2, 3], "event_timestamp": ["2025-05-02T00:00:00Z"] * 3}
    with ns.FeatureStore(tmp_path / "project", project="p") as store:
        store.apply([ns.FeatureService("svc", [view])], uncertified=True)
        assert report() == (2, 0, 0)
        write(path, NEW)
        assert report() == (1, 0, 0)  # the first file is not read again
        DeltaTable(path).optimize.compact()
        assert report() == (0, 3, 0)
        DeltaTable(path).delete("uid = 1")
        assert report() == (0, 2, 1)
        found = store.get_historical_features(asked, "svc").to_arrow()
        assert found["count"].to_pylist() == [0, 1, 1]


@pytest.mark.parametrize(("predicate", "gone"), [("uid = 1", 1), (None, 2)])
def test_a_deleted_row_is_refused_by_an_ingest_that_expects_growth(
    path: Path, tmp_path: Path, predicate: str | None, gone: int
) -> None:
    source = ns.Source("s", SCHEMA, event_time="at", batch=ns.Delta(str(path)))
    user = ns.Entity("user", {"uid": int})
    view = ns.FeatureView("v", entity=user, source=source, features=[ns.count()])
    with ns.FeatureStore(tmp_path / "project", project="p") as store:
        store.apply([ns.FeatureService("svc", [view])], uncertified=True)
        store.ingest()
        DeltaTable(path).delete(predicate)
        with pytest.raises(ChangedRowsError, match=rf"'s': {gone} rows .* are not in its data"):
            store.ingest()


def log(path: Path) -> Path:
    return path / "_delta_log" / "00000000000000000000.json"
