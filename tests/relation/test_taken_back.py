"""Rows that change or vanish where the data is the truth: they count before, and not after."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import noskew as ns
from noskew.errors import ChangedRowsError, CorruptDataError, DefinitionError, NotFoundError
from noskew.training import ingest_runs
from tests.relation.shop import MORE, NOW, ONCE, ROWS, Project, as_parquet, table


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, changes="replace")
    made.declare(as_parquet(tmp_path, table(*ROWS)))
    assert made.ingest().rows == 4
    return made


def test_a_row_that_vanished(project: Project, tmp_path: Path) -> None:
    as_parquet(tmp_path, table(*ROWS[1:]))
    project.clock.advance("1d")
    report = project.ingest()
    assert (report.rows, report.known, report.retracted) == (0, 3, 1)
    assert project.counts() == {1: (2, 15.0), 2: (1, 7.0), 3: (0, None)}
    assert project.counts_known_at(NOW) == ONCE


def test_a_row_that_was_updated_and_back(project: Project, tmp_path: Path) -> None:
    project.counts()
    for amount, known in ((8.0, 3), (7.0, 3)):
        as_parquet(tmp_path, table(*ROWS[:3], (2, 1, amount, "a")))
        project.clock.advance("1d")
        report = project.ingest()
        assert (report.rows, report.known, report.retracted) == (1, known, 1)
        assert project.counts()[2] == (1, amount)
    assert project.counts_known_at(NOW) == ONCE
    assert project.counts_known_at(NOW + 86_400_000_000)[2] == (1, 8.0)


def test_all_rows_of_an_entity_vanish(project: Project, tmp_path: Path) -> None:
    """Its row online, which has been written already, must say so."""
    project.counts()
    as_parquet(tmp_path, table(*ROWS[:3]))
    project.clock.advance("1d")
    assert project.ingest().retracted == 1
    assert project.counts() == {1: (3, 25.0), 2: (0, None), 3: (0, None)}
    project.store.materialize(full=True)
    assert project.counts()[2] == (0, None)


def test_one_of_two_equal_rows(project: Project, tmp_path: Path) -> None:
    as_parquet(tmp_path, table(*ROWS[1:]))
    project.clock.advance("1d")
    assert project.ingest().retracted == 1
    as_parquet(tmp_path, table(*ROWS))
    assert project.ingest().rows == 1
    assert project.counts() == ONCE


def test_a_compacted_table(project: Project, tmp_path: Path) -> None:
    as_parquet(tmp_path, table(*ROWS[1:]))
    project.clock.advance("1d")
    project.ingest()
    project.store.compact()
    assert project.counts()[1] == (2, 15.0)
    assert project.counts_known_at(NOW) == ONCE


def test_files_of_a_folder(tmp_path: Path) -> None:
    project, folder = Project(tmp_path, changes="replace"), tmp_path / "sales"
    folder.mkdir()
    pq.write_table(table(*ROWS[:2]), folder / "1.parquet")
    pq.write_table(table(*ROWS[2:]), folder / "2.parquet")
    project.declare(ns.Parquet(str(folder)))
    assert project.ingest().rows == 4
    (folder / "1.parquet").unlink()
    project.clock.advance("1d")
    assert project.ingest().retracted == 2
    assert project.counts()[1] == (1, 5.0)


def test_frames_of_a_source_that_has_nothing_else(tmp_path: Path) -> None:
    project = Project(tmp_path, changes="replace")
    project.declare(None)
    for rows, (added, taken) in (
        (ROWS, (4, 0)),
        (MORE, (2, 0)),
        (ROWS, (0, 2)),
        (ROWS, (0, 0)),
    ):
        project.clock.advance("1d")
        report = project.ingest(table(*rows))
        assert (report.rows, report.retracted) == (added, taken)
    assert project.counts() == ONCE


def test_a_frame_beside_the_source_only_adds(project: Project) -> None:
    assert project.ingest(table(*MORE[4:])).rows == 2
    assert project.ingest().retracted == 0
    assert project.counts()[3] == (1, 1.0)


def test_an_id_whose_event_was_taken_back_counts_anew(tmp_path: Path) -> None:
    project = Project(tmp_path, changes="replace", event_id="shop")
    rows = [(1, 1, 10.0, "x"), (2, 1, 7.0, "y")]
    project.declare(as_parquet(tmp_path, table(*rows)))
    assert project.ingest().rows == 2
    as_parquet(tmp_path, table((1, 1, 11.0, "x"), rows[1]))
    project.clock.advance("1h")
    report = project.ingest()
    assert (report.rows, report.retracted, report.known_by_id) == (1, 1, 0)
    assert project.counts() == {1: (1, 11.0), 2: (1, 7.0), 3: (0, None)}
    assert project.counts_known_at(NOW)[1] == (1, 10.0)


def test_nothing_may_go_where_data_grows(tmp_path: Path) -> None:
    project, folder = Project(tmp_path, changes="grow"), tmp_path / "sales"
    folder.mkdir()
    pq.write_table(table(*ROWS[:2]), folder / "1.parquet")
    pq.write_table(table(*ROWS[2:]), folder / "2.parquet")
    project.declare(ns.Parquet(str(folder)))
    project.ingest()
    (folder / "1.parquet").unlink()
    with pytest.raises(ChangedRowsError, match=r"2 rows .* changes='replace'"):
        project.ingest()
    assert project.counts() == ONCE


def test_another_word_is_refused() -> None:
    with pytest.raises(DefinitionError, match="'append', 'grow', 'replace', got 'upsert'"):
        ns.Source("s", {"k": int, "at": "timestamp"}, event_time="at", changes="upsert")


def test_how_data_changes_is_no_part_of_a_definition(tmp_path: Path) -> None:
    one, other = (
        ns.Source("s", {"k": int, "at": "timestamp"}, event_time="at", changes=changes)
        for changes in (None, "replace")
    )
    assert one.identity() == other.identity()
    assert ns.Source.from_dict(other.to_dict()).changes == "replace"


class TestUndo:
    """A run of ingest is undone by its id."""

    def run(self, project: Project) -> str:
        return next(iter(project.store.ingests()))

    def test_what_it_added_is_taken_back(self, project: Project) -> None:
        project.counts()
        project.clock.advance("1d")
        assert project.ingest(table(*MORE[4:])).rows == 2
        assert project.counts()[3] == (1, 1.0)
        project.clock.advance("1d")
        (undone,) = project.store.undo_ingest(self.run(project))
        assert (undone.view, undone.retracted, undone.restored) == ("spent", 2, 0)
        assert project.counts() == ONCE
        assert project.counts_known_at(NOW + 86_400_000_000)[3] == (1, 1.0)
        assert project.store.undo_ingest(self.run(project)) == []
        assert project.ingest(table(*MORE[4:])).rows == 2  # the same frame counts anew
        assert project.counts()[3] == (1, 1.0)

    def test_what_it_took_back_counts_again(self, project: Project, tmp_path: Path) -> None:
        as_parquet(tmp_path, table(*ROWS[:3], (2, 1, 8.0, "a")))
        project.clock.advance("1d")
        project.ingest()
        assert project.counts()[2] == (1, 8.0)
        project.clock.advance("1d")
        (undone,) = project.store.undo_ingest(self.run(project))
        assert (undone.retracted, undone.restored) == (1, 1)
        assert project.counts() == ONCE
        report = project.ingest()  # what the data says now is compared with what is there
        assert (report.rows, report.retracted, report.known) == (1, 1, 3)
        assert project.counts()[2] == (1, 8.0)

    def test_runs_are_listed(self, project: Project, tmp_path: Path) -> None:
        project.clock.advance("1d")
        as_parquet(tmp_path, table(*ROWS[1:], (3, 3, 1.0, "c")))
        project.ingest()
        newest, oldest = project.store.ingests().values()
        assert (newest.source, newest.started) == (None, project.clock.now())
        told = newest.views["spent"]
        assert (told.rows, told.known, told.retracted, told.parts) == (1, 3, 1, 1)
        assert newest.total == told
        assert (oldest.started, oldest.ended, oldest.undone) == (NOW, NOW, None)
        project.store.undo_ingest(self.run(project))
        assert next(iter(project.store.ingests().values())).undone == project.clock.now()

    def test_a_source_that_has_no_batch_data_any_more(self, project: Project) -> None:
        project.declare(None)
        (undone,) = project.store.undo_ingest(self.run(project))
        assert undone.retracted == 4
        assert project.counts() == dict.fromkeys((1, 2, 3), (0, None))

    def test_an_id_that_no_run_has(self, project: Project) -> None:
        for wrong in ("0123456789ab", "x", "-1"):
            with pytest.raises(NotFoundError, match="noskew list ingests"):
                project.store.undo_ingest(wrong)

    def test_what_is_kept_of_runs_is_bounded(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in (("MOST_RUNS", 2), ("MOST_VIEWS", 0), ("_EVERY", 1)):
            monkeypatch.setattr(ingest_runs, name, value)
        for day in range(3):
            project.clock.advance("1d")
            project.ingest(table((3, day, 1.0, "c")))
        runs = list(project.store.ingests().values())
        assert [(run.total.rows, run.views) for run in runs] == [(1, {}), (1, {})]
        assert runs[0].started == project.clock.now()

    def test_a_run_that_failed_is_listed(self, project: Project, tmp_path: Path) -> None:
        (tmp_path / "sales.parquet").write_bytes(b"PAR1")
        project.clock.advance("1d")
        with pytest.raises(CorruptDataError):
            project.ingest()
        assert next(iter(project.store.ingests().values())).views == {}
