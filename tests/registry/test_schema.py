"""Tables of a registry: made once, of a newer noskew, and of the first release's form."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from noskew.errors import ConflictError, CorruptDataError, RegistryError
from noskew.registry.records.keys import DefinitionKey
from noskew.registry.records.kinds import (
    ASSIGNMENTS,
    CERTIFICATE,
    MATERIALIZED,
    SERVED,
    SKEW_AUDIT,
    STREAM,
    UNCERTIFIED,
)
from noskew.registry.records.record import AnyRecord, Record
from noskew.registry.records.streaming import StreamGeneration
from noskew.registry.sql.registry import SqlRegistry
from noskew.testing.processes import clean_context
from noskew.testing.registry.examples import versioned_project, whole_project
from tests.registry.databases import run

Raw = Callable[..., list[tuple[object, ...]]]

#: As the first version of the schema made its tables on SQLite. One of them is used no more.
TABLES = """
CREATE TABLE noskew_schema (version INTEGER NOT NULL);
INSERT INTO noskew_schema VALUES (1);
CREATE TABLE noskew_project (name VARCHAR(128) NOT NULL, version BIGINT NOT NULL,
    PRIMARY KEY (name));
CREATE TABLE noskew_version (project VARCHAR(128) NOT NULL, version BIGINT NOT NULL,
    applied_at BIGINT NOT NULL, applied_by TEXT NOT NULL, message TEXT NOT NULL,
    digest VARCHAR(32) NOT NULL, document TEXT NOT NULL, PRIMARY KEY (project, version),
    FOREIGN KEY(project) REFERENCES noskew_project (name));
CREATE TABLE noskew_definition (project VARCHAR(128) NOT NULL, kind VARCHAR(32) NOT NULL,
    name VARCHAR(128) NOT NULL, definition_hash VARCHAR(64) NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (project, kind, name), FOREIGN KEY(project) REFERENCES noskew_project (name));
CREATE TABLE noskew_materialization (id INTEGER NOT NULL, project VARCHAR(128) NOT NULL,
    view VARCHAR(128) NOT NULL, definition_hash VARCHAR(64) NOT NULL, until BIGINT NOT NULL,
    snapshot_number BIGINT NOT NULL, row_count BIGINT NOT NULL, started_at BIGINT NOT NULL,
    finished_at BIGINT, status VARCHAR(16) NOT NULL, error TEXT NOT NULL, PRIMARY KEY (id));
CREATE INDEX noskew_materialization_of
    ON noskew_materialization (project, view, definition_hash, id);
CREATE TABLE noskew_training_set (project VARCHAR(128) NOT NULL, name VARCHAR(128) NOT NULL,
    spec TEXT NOT NULL, digest VARCHAR(128) NOT NULL, created_at BIGINT NOT NULL,
    PRIMARY KEY (project, name));
CREATE TABLE noskew_record (project VARCHAR(128) NOT NULL, kind VARCHAR(64) NOT NULL,
    key VARCHAR(256) NOT NULL, data TEXT NOT NULL, recorded_at BIGINT NOT NULL,
    PRIMARY KEY (project, kind, key));
"""
#: What was written before records were typed: kind, key, text.
RECORDS = (
    (MATERIALIZED, "delays:9f", '{"number":7,"sequence":4711,"until":1370088000000000}'),
    (STREAM, "delays:9f", '{"generation":0,"history":-1,"log":"3f","log_since":0}'),
    (ASSIGNMENTS, "departures", '{"owners":{"0":"h-1-a","11":"h-2-b"},"workers":{"h-1-a":5}}'),
    (
        CERTIFICATE,
        "9f",
        '{"cause":"it looks at other rows","definition_hash":"9f","differences":[{"column":"a",'
        '"example":{"here":"1","there":"2"},"path":"shuffled","rows":3}],"failing_rows":1,'
        '"failure":"division by zero","is_thorough":false,"kind":"feature_view",'
        '"libraries":{"pyarrow":"24.0.0"},"made_at":5,"made_up_rows":120,"name":"delays",'
        '"no_sample":"","paths":[{"different":3,"name":"shuffled","rows":9,"skipped":""}],'
        '"sample_rows":0,"seconds":0.125}',
    ),
    (UNCERTIFIED, "9f", '{"by":"ana","name":"delays"}'),
    (
        SERVED,
        "delay_model:9f",
        '{"definitions":{"entities":[{"name":"airport"}]},"service":"delay_model",'
        '"table":"served_9f"}',
    ),
    (
        SKEW_AUDIT,
        "delay_model",
        '{"at":9,"features":{"delay":{"behind":0,"compared":5,"different":1,"equal":4,'
        '"undecided":2,"waiting":0}},"since":null,"until":8}',
    ),
)
SPEC = '{"event_time":"t","known_at":null,"service":"delay_model","snapshots":{"events":5}}'


@pytest.fixture
def older(tmp_path: Path) -> str:
    """The address of a registry as the first version of the schema had it."""
    path = tmp_path / "registry.db"
    connection = sqlite3.connect(path)
    connection.executescript(TABLES)
    connection.close()
    url = f"sqlite:///{path}"
    for kind, key, text in RECORDS:
        row = ("flights", kind.name, key, text, 5)
        run(url, "INSERT INTO noskew_record VALUES (?, ?, ?, ?, ?)", *row)
    run(url, "INSERT INTO noskew_training_set VALUES ('flights', 'june', ?, 'd1', 6)", SPEC)
    return url


def test_a_registry_of_the_first_release_is_read_and_used(older: str) -> None:
    with SqlRegistry(older) as registry:
        for kind, key, _ in RECORDS:
            record = registry.record("flights", kind, kind.key(key))
            assert record is not None
            assert (record.key, record.recorded_at) == (key, 5)
        assert registry.training_set("flights", "june").spec["snapshots"] == {"events": 5}
        applied = registry.apply("flights", whole_project(), base_version=0, applied_at=1)
        assert registry.current("flights").hashes == applied.hashes
    assert run(older, "SELECT version FROM noskew_schema") == [(1,)]


def test_the_text_of_records_is_what_the_first_release_wrote(older: str) -> None:
    """So that it can read what is written now."""
    with SqlRegistry(older) as registry:
        records: list[AnyRecord] = []
        for kind, key, _ in RECORDS:
            record = registry.record("flights", kind, kind.key(key))
            assert record is not None
            records.append(record)
            registry.delete_record("flights", kind, record.key)
        for record in records:
            registry.put_record("flights", record)
    written = run(older, "SELECT kind, key, data FROM noskew_record")
    assert sorted(written) == sorted((kind.name, key, text) for kind, key, text in RECORDS)


def test_a_generation_of_the_first_release_can_be_renewed(older: str) -> None:
    key = DefinitionKey("delays:9f")
    after = Record(STREAM, key, StreamGeneration(1, "3f", 12), 7)
    with SqlRegistry(older) as registry:
        assert registry.swap_record("flights", after, expected=StreamGeneration(0, "3f", -1))
        assert registry.record("flights", STREAM, key) == after


def test_a_registry_of_a_newer_noskew(registry: SqlRegistry, registry_url: str, raw: Raw) -> None:
    raw("UPDATE noskew_schema SET version = 99")
    with pytest.raises(RegistryError, match=r"schema version 99.*upgrade noskew"):
        SqlRegistry(registry_url)
    raw("DELETE FROM noskew_schema")
    with pytest.raises(CorruptDataError, match="0 schema versions"):
        SqlRegistry(registry_url)


def test_two_open_a_new_registry_at_once(registry_url: str, raw: Raw, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=clean_context()) as pool:
        list(pool.map(abs, range(8)))  # both processes are there
        for attempt in range(10):
            if registry_url.startswith("sqlite"):
                url = f"sqlite:///{tmp_path}/attempt/{attempt}.db"
            else:
                raw(f"CREATE SCHEMA attempt{attempt}")
                url = f"{registry_url}?options=-csearch_path%3Dattempt{attempt}"
            outcomes = [pool.submit(_first_version, url) for _ in range(2)]
            assert sorted(o.result(60) for o in outcomes) == ["applied", "conflict"]


def _first_version(url: str) -> str:
    with SqlRegistry(url) as registry:
        try:
            registry.apply("flights", versioned_project(1), base_version=0, applied_at=1)
        except ConflictError:
            return "conflict"
        return "applied"
