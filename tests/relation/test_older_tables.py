"""Tables of before rows had marks: they get them, and their events are known by their values."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import noskew as ns
from noskew.intake.ingested import FIELDS
from noskew.intake.tables import table_spec
from noskew.kernel.conform import conform
from noskew.kernel.transforms.pipeline import Pipeline
from noskew.stores.offline.base import TableSpec
from noskew.training.ingest import open_connector
from tests.relation.shop import GROWN, MORE, NOW, ONCE, ROWS, Project, as_parquet, table

MARKS = {field.name for field in FIELDS}


def ingest_as_before(project: Project, token: str, rows: pa.Table) -> None:
    """What an earlier release made of a part: events without marks, under its token."""
    view, store = project.view, project.store
    spec = table_spec(view, store.config.offline.buckets)
    narrow = pa.schema([field for field in spec.schema if field.name not in MARKS])
    store.offline.create(TableSpec(spec.name, narrow, spec.keys, spec.buckets))
    given = conform(rows, view.source.schema, "rows")
    done = Pipeline(view)(given, known_time=NOW, buckets=spec.buckets)
    store.offline.append(spec.name, done.events.to_batches(), token=f"ingest:{token}")


@pytest.fixture(params=[None, "replace"])
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    project = Project(tmp_path, changes=request.param)
    project.declare(as_parquet(tmp_path, table(*ROWS)))
    source = ns.Parquet(str(tmp_path / "sales.parquet"))
    (part,) = open_connector(source, project.view.source.schema).parts()
    ingest_as_before(project, part.token, table(*ROWS))
    assert project.counts() == ONCE
    return project


def test_the_same_part_is_not_read_again(project: Project) -> None:
    report = project.ingest()
    assert (report.rows, report.repeated) == (0, 1)
    assert project.counts() == ONCE


def test_a_file_that_has_grown_since(project: Project, tmp_path: Path) -> None:
    as_parquet(tmp_path, table(*MORE))
    report = project.ingest()
    assert (report.rows, report.known) == (2, 4)
    assert project.counts() == GROWN
    as_parquet(tmp_path, table(*reversed(MORE)))
    assert project.ingest().rows == 0
    assert project.counts() == GROWN


@pytest.mark.parametrize("project", [None], indirect=True)
def test_a_frame_with_the_same_rows(project: Project) -> None:
    report = project.ingest(table(*MORE))
    assert (report.rows, report.known) == (2, 4)
    assert project.counts() == GROWN
