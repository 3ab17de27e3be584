"""The same ingest tomorrow: rows that were there are known again, in whatever form they come."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import noskew as ns
from noskew.errors import ChangedRowsError
from tests.relation.shop import FORMS, GROWN, MORE, ONCE, ROWS, Project, as_parquet, table


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("form", FORMS)
class TestOneThing:
    """A file, or a query: all of it is there, or it is gone."""

    def test_a_source_that_has_grown(self, project: Project, tmp_path: Path, form: str) -> None:
        project.declare(FORMS[form](tmp_path, table(*ROWS)))
        assert project.ingest().rows == 4
        assert project.counts() == ONCE
        FORMS[form](tmp_path, table(*MORE))
        report = project.ingest()
        assert (report.rows, report.known) == (2, 4)
        assert project.counts() == GROWN
        report = project.ingest()
        assert (report.rows, report.repeated) == (0, 1)
        assert project.counts() == GROWN

    def test_another_order(self, project: Project, tmp_path: Path, form: str) -> None:
        project.declare(FORMS[form](tmp_path, table(*ROWS)))
        project.ingest()
        FORMS[form](tmp_path, table(*reversed(ROWS)))
        assert project.ingest().rows == 0
        assert project.counts() == ONCE

    def test_rows_that_are_gone(self, project: Project, tmp_path: Path, form: str) -> None:
        project.declare(FORMS[form](tmp_path, table(*ROWS)))
        project.ingest()
        FORMS[form](tmp_path, table(*ROWS[1:], (3, 3, 1.0, "c")))
        with pytest.raises(ChangedRowsError, match="1 rows that were ingested are not"):
            project.ingest()
        assert project.counts() == ONCE

    def test_another_form_of_the_same(self, project: Project, tmp_path: Path, form: str) -> None:
        project.declare(FORMS[form](tmp_path, table(*ROWS)))
        project.ingest()
        for other in FORMS.values():
            project.declare(other(tmp_path, table(*ROWS)))
            assert project.ingest().rows == 0
        assert project.ingest(table(*ROWS)).rows == 0
        assert project.counts() == ONCE


def test_what_was_written_otherwise(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    data = table(*ROWS)
    project.declare(as_parquet(tmp_path, data))
    project.ingest()
    wide = data.append_column("note", pa.array(["x"] * 4))
    other = data.set_column(2, "amount", data.column("amount").cast(pa.float32()))
    large = data.set_column(3, "shop", data.column("shop").cast(pa.large_string()))
    coded = data.set_column(3, "shop", data.column("shop").dictionary_encode())
    for rewritten in (wide, other, large, coded, wide.select(wide.column_names[::-1])):
        pq.write_table(rewritten, path, compression="zstd")
        assert project.ingest().rows == 0
    assert project.counts() == ONCE


class TestFolder:
    """Files come and go; one that is there holds what it held."""

    @pytest.fixture
    def folder(self, tmp_path: Path, project: Project) -> Path:
        place = tmp_path / "sales"
        place.mkdir()
        pq.write_table(table(*ROWS[:2]), place / "1.parquet")
        pq.write_table(table(*ROWS[2:]), place / "2.parquet")
        project.declare(ns.Parquet(str(place)))
        assert project.ingest().rows == 4
        return place

    def test_a_new_file(self, folder: Path, project: Project) -> None:
        pq.write_table(table(*MORE[4:]), folder / "3.parquet")
        report = project.ingest()
        assert (report.rows, report.known, report.repeated) == (2, 0, 2)
        assert project.counts() == GROWN

    def test_an_equal_row_in_another_file_is_another_event(
        self, folder: Path, project: Project
    ) -> None:
        pq.write_table(table(ROWS[3], (3, 1, 1.0, "a")), folder / "3.parquet")
        assert project.ingest().rows == 2
        assert project.counts()[2] == (2, 14.0)

    def test_files_are_merged(self, folder: Path, project: Project) -> None:
        for name in ("1.parquet", "2.parquet"):
            (folder / name).unlink()
        pq.write_table(table(*MORE), folder / "merged.parquet")
        assert project.ingest().rows == 2
        assert project.counts() == GROWN
        pq.write_table(table((3, 3, 1.0, "c")), folder / "new.parquet")
        assert project.ingest().rows == 1
        assert project.counts()[3] == (2, 2.0)

    def test_a_copy_counts_once(self, folder: Path, project: Project) -> None:
        (folder / "copy.parquet").write_bytes((folder / "1.parquet").read_bytes())
        assert project.ingest().rows == 0
        assert project.counts() == ONCE

    def test_a_file_that_is_removed_and_comes_back(self, folder: Path, project: Project) -> None:
        kept = (folder / "1.parquet").read_bytes()
        (folder / "1.parquet").unlink()
        pq.write_table(table(*MORE[4:]), folder / "3.parquet")
        assert project.ingest().rows == 2
        (folder / "1.parquet").write_bytes(kept)
        assert project.ingest().rows == 0
        assert project.counts() == GROWN

    def test_a_file_with_fewer_rows(self, folder: Path, project: Project) -> None:
        pq.write_table(table(ROWS[2]), folder / "2.parquet")
        with pytest.raises(ChangedRowsError, match="1 rows"):
            project.ingest()
        assert project.counts() == ONCE


class TestGiven:
    """Frames: each is an extract by itself."""

    def test_frames_that_overlap(self, project: Project) -> None:
        project.declare(None)
        assert project.ingest(table(*ROWS)).rows == 4
        report = project.ingest(table(*ROWS[1:], *MORE[4:]))
        assert (report.rows, report.known) == (2, 3)
        assert project.counts() == GROWN

    def test_a_frame_and_then_its_file(self, project: Project, tmp_path: Path) -> None:
        project.declare(as_parquet(tmp_path, table(*MORE)))
        assert project.ingest(table(*ROWS)).rows == 4
        report = project.ingest()
        assert (report.rows, report.known) == (2, 4)
        assert project.counts() == GROWN


def test_ids_are_of_one_event_however_late(tmp_path: Path) -> None:
    project = Project(tmp_path, event_id="shop")
    first = [(1, 1, 10.0, "x"), (2, 1, 7.0, "y")]
    project.declare(None)
    assert project.ingest(table(*first)).rows == 2
    project.clock.advance("30d")
    report = project.ingest(table((1, 1, 11.0, "x"), (3, 3, 1.0, "z")))
    assert (report.rows, report.known_by_id) == (1, 1)
    assert project.counts() == {1: (1, 10.0), 2: (1, 7.0), 3: (1, 1.0)}
