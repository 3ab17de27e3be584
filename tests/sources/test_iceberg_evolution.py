"""Iceberg tables whose columns were added, renamed, dropped or widened since rows were written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.table import Table
from pyiceberg.types import DoubleType, LongType, StringType

import noskew as ns
from noskew.errors import InputError, SchemaMismatchError
from tests.sources.declared import rows

FIRST = pa.table({"uid": pa.array([1, 2], pa.int32()), "x": pa.array([0.5, None], pa.float32())})
SCHEMA: dict[str, Any] = {"uid": int, "x": float}
OLD = [{"uid": 1, "x": 0.5}, {"uid": 2, "x": None}]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path}/c.db",
        "warehouse": f"file://{tmp_path}/w",
        "name": "theirs",
    }


@pytest.fixture
def catalog(settings: dict[str, str]) -> Catalog:
    catalog = load_catalog("theirs", **{k: v for k, v in settings.items() if k != "name"})
    catalog.create_namespace("n")
    return catalog


@pytest.fixture
def table(catalog: Catalog) -> Table:
    made = catalog.create_table("n.t", schema=FIRST.schema)
    made.append(FIRST)
    return made


@pytest.fixture
def source(settings: dict[str, str]) -> ns.Iceberg:
    return ns.Iceberg("n.t", settings)


def test_an_added_column_is_null_in_older_rows(table: Table, source: ns.Iceberg) -> None:
    with table.update_schema() as change:
        change.add_column("t", StringType())
    table.append(pa.table({**_columns(FIRST), "t": ["a", None]}))
    found = rows(source, {**SCHEMA, "t": str})
    assert found == [
        *({**row, "t": None} for row in OLD),
        {"uid": 1, "x": 0.5, "t": "a"},
        {"uid": 2, "x": None, "t": None},
    ]
    assert rows(source, SCHEMA) == OLD * 2


def test_a_renamed_column_is_the_same(table: Table, source: ns.Iceberg) -> None:
    with table.update_schema() as change:
        change.rename_column("x", "y")
    table.append(FIRST.rename_columns(["uid", "y"]))
    assert rows(source, {"uid": int, "y": float}) == [
        {"uid": r["uid"], "y": r["x"]} for r in OLD * 2
    ]
    with pytest.raises(SchemaMismatchError, match=r"no column 'x'.*y"):
        rows(source, SCHEMA)


def test_a_dropped_column_is_gone_and_another_of_its_name_is_another(
    table: Table, source: ns.Iceberg
) -> None:
    with table.update_schema() as change:
        change.delete_column("x")
    table.append(FIRST.select(["uid"]))
    assert [row["uid"] for row in rows(source, {"uid": int})] == [1, 2, 1, 2]
    with table.update_schema() as change:
        change.add_column("x", DoubleType())
    table.append(pa.table({"uid": pa.array([3], pa.int32()), "x": [7.0]}))
    assert [row["x"] for row in rows(source, SCHEMA)] == [None] * 4 + [7.0]


def test_widened_and_reordered_columns(table: Table, source: ns.Iceberg) -> None:
    with table.update_schema() as change:
        change.update_column("uid", LongType())
        change.update_column("x", DoubleType())
        change.move_first("x")
    table.append(pa.table({"x": [1e300], "uid": [2**40]}))
    assert rows(source, SCHEMA) == [*OLD, {"uid": 2**40, "x": 1e300}]


def test_deleted_rows_after_a_change_of_columns(table: Table, source: ns.Iceberg) -> None:
    with table.update_schema() as change:
        change.add_column("t", StringType())
    table.append(pa.table({**_columns(FIRST), "t": ["a", "b"]}))
    table.delete("t = 'a'")
    found = sorted(rows(source, {**SCHEMA, "t": str}), key=str)
    assert found == sorted([*({**row, "t": None} for row in OLD), {**OLD[1], "t": "b"}], key=str)


def test_a_table_that_asks_for_marks_beside_its_files(catalog: Catalog, source: ns.Iceberg) -> None:
    """pyiceberg reads such marks, and writes the files anew, as it says."""
    options = {"format-version": "2", "write.delete.mode": "merge-on-read"}
    table = catalog.create_table("n.t", schema=FIRST.schema, properties=options)
    table.append(FIRST)
    with pytest.warns(UserWarning, match="Merge on read is not yet supported"):
        table.delete("uid = 1")
    assert rows(source, SCHEMA) == OLD[1:]


def test_a_partitioned_table(catalog: Catalog, source: ns.Iceberg) -> None:
    table = catalog.create_table("n.t", schema=FIRST.schema)
    with table.update_spec() as spec:
        spec.add_identity("uid")
    table.append(FIRST)
    with table.update_schema() as change:
        change.rename_column("uid", "user")
    found = rows(source, {"user": int, "x": float})
    assert sorted(found, key=str) == [{"user": r["uid"], "x": r["x"]} for r in OLD]


def test_branches_and_tags(table: Table, settings: dict[str, str]) -> None:
    first = table.current_snapshot()
    assert first is not None
    table.manage_snapshots().create_tag(first.snapshot_id, "may").commit()
    table.manage_snapshots().create_branch(first.snapshot_id, "audit").commit()
    table.append(FIRST)
    table.append(FIRST.slice(0, 1), branch="audit")
    found = {b: rows(ns.Iceberg("n.t", settings, b), SCHEMA) for b in ("", "main", "may", "audit")}
    assert found == {"": OLD * 2, "main": OLD * 2, "may": OLD, "audit": [*OLD, OLD[0]]}
    with pytest.raises(InputError, match=r"no branch or tag 'mai'.*'main'"):
        rows(ns.Iceberg("n.t", settings, "mai"), SCHEMA)
    shown = repr(ns.Iceberg("n.t", settings, "audit"))
    assert "branch='audit'" in shown
    assert "branch=" not in repr(ns.Iceberg("n.t", settings))


def test_the_table_of_the_finding_is_ingested(
    catalog: Catalog, settings: Any, tmp_path: Path
) -> None:
    times = pa.array([datetime(2025, 5, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    first = pa.table({"uid": [1], "ts": times})
    table = catalog.create_table("n.f", schema=first.schema)
    table.append(first)
    with table.update_schema() as change:
        change.add_column("x", DoubleType())
    table.append(pa.table({"uid": [2], "ts": times, "x": [2.0]}))
    user = ns.Entity("user", {"uid": int})
    schema = {"uid": int, "ts": "timestamp", "x": float}
    source = ns.Source("s", schema, event_time="ts", batch=ns.Iceberg("n.f", settings))
    view = ns.FeatureView("v", entity=user, source=source, features=["x"])
    asked = pa.table({"uid": [1, 2], "event_timestamp": ["2025-05-02T00:00:00Z"] * 2})
    with ns.FeatureStore(tmp_path / "project", project="p") as store:
        store.apply([ns.FeatureService("svc", [view])], uncertified=True)
        assert [report.rows for report in store.ingest()] == [2]
        found = store.get_historical_features(asked, "svc").to_arrow()
        assert found["x"].to_pylist() == [None, 2.0]
        table.append(pa.table({"uid": [1], "ts": times, "x": [3.0]}))
        assert [(report.rows, report.repeated) for report in store.ingest()] == [(1, 2)]


def _columns(table: pa.Table) -> dict[str, Any]:
    return dict(zip(table.column_names, table.columns, strict=True))
