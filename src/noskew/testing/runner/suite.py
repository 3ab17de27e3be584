"""What every runner does with tasks: the tests, and what a subclass gives."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest

from noskew.errors import ConflictError, RunnerError
from noskew.runners.base import Runner
from noskew.testing.runner import tasks
from noskew.testing.runner.tables import every_type, numbers


class RunnerTests:
    """What :class:`noskew.runners.base.Runner` promises, as tests."""

    @pytest.fixture
    def runner(self) -> Iterator[Runner]:
        """A runner that is ready; close it afterwards."""
        raise NotImplementedError("give the class a fixture named runner")

    # ---------------------------------------------------------------- what comes back

    def test_each_table_comes_back_under_its_number(self, runner: Runner) -> None:
        tables = [numbers(n) for n in (3, 0, 1, 500, 2)]
        pieces = list(runner.run(tables, tasks.counts, {"times": 2}))
        rows = {number: table.column("rows").to_pylist() for number, table in pieces}
        assert rows == {0: [6], 1: [0], 2: [2], 3: [1_000], 4: [4]}
        assert len(pieces) == 5

    def test_every_type_comes_back_bit_for_bit(self, runner: Runner) -> None:
        tables = [every_type(), every_type().slice(1, 2), every_type().slice(0, 0)]
        back: dict[int, list[pa.Table]] = defaultdict(list)
        for number, table in runner.run(tables, tasks.same, {}):
            back[number].append(table)
        for number, table in enumerate(tables):
            whole = pa.concat_tables(back[number])
            assert whole.schema == table.schema
            # As text, since NaN is not equal to itself.
            assert repr(whole.to_pylist()) == repr(table.to_pylist())

    def test_a_task_may_make_several_pieces_or_none(self, runner: Runner) -> None:
        tables = [numbers(1), numbers(0), numbers(1)]
        places: dict[int, list[int]] = defaultdict(list)
        for number, table in runner.run(tables, tasks.several, {"pieces": 3}):
            places[number] += table.column("place").to_pylist()
        assert places == {0: [0, 1, 2], 2: [0, 1, 2]}, "of one table in their order"

    def test_more_tables_than_run_at_a_time(self, runner: Runner) -> None:
        count = 5 * runner.parts
        tables = (numbers(n) for n in range(count))
        pieces = runner.run(tables, tasks.counts, {"times": 1})
        assert sorted((n, t.column("rows")[0].as_py()) for n, t in pieces) == [
            (n, n) for n in range(count)
        ]

    def test_no_table_at_all(self, runner: Runner) -> None:
        assert list(runner.run([], tasks.same, {})) == []

    def test_nothing_runs_before_it_is_asked_for(self, runner: Runner) -> None:
        asked: list[int] = []

        def tables() -> Iterator[pa.Table]:
            asked.append(1)
            yield numbers(1)

        pieces = runner.run(tables(), tasks.same, {})
        assert asked == []
        assert len(list(pieces)) == 1
        assert asked == [1]

    # ---------------------------------------------------------------- what tasks get

    def test_a_context_is_a_task_s_own(self, runner: Runner) -> None:
        context = {"text": 'ü"\n\0\U0001f600', "map": {"a": 1, "b": None}}
        for _ in range(2):
            tables = [numbers(1)]
            ((_, table),) = runner.run(tables, tasks.told, context)
            assert table.to_pylist() == [{"text": context["text"], "more": ["a", "b"]}]
        assert context["map"] == {"a": 1, "b": None}

    def test_tasks_import_from_what_is_shared(self, runner: Runner, tmp_path: Path) -> None:
        module = f"shared_{uuid4().hex}"
        archive = tmp_path / f"{module}.zip"
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr(f"{module}.py", "VALUE = 17\n")
        for _ in range(2):
            runner.share(archive)
        ((_, table),) = runner.run([numbers(1)], tasks.of_archive, {"module": module})
        assert table.to_pylist() == [{"value": 17}]

    # ---------------------------------------------------------------- errors

    def test_an_error_of_a_task_is_raised_as_what_it_was(self, runner: Runner) -> None:
        tables = [numbers(n + 1) for n in range(4)]
        with pytest.raises(ConflictError) as raised:
            list(runner.run(tables, tasks.fails, {"at": 2, "ours": True}))
        assert str(raised.value) == "it changed:\nrepeat the call"
        assert len(list(runner.run(tables, tasks.same, {}))) == 4, "it runs on"

    def test_any_other_error_of_a_task_is_told(self, runner: Runner) -> None:
        with pytest.raises(RunnerError, match="a task's own fault"):
            list(runner.run([numbers(1)], tasks.fails, {"at": 0, "ours": False}))

    # ---------------------------------------------------------------- sizes, and the end

    def test_into_how_many_parts_work_is_cut(self, runner: Runner) -> None:
        assert runner.parts >= 1
        assert runner.parts_of(1) == 1
        assert 1 <= runner.parts_of(10_000) <= 10_000

    def test_whoever_stops_asking_leaves_it_usable(self, runner: Runner) -> None:
        pieces = runner.run([numbers(1)] * 3, tasks.same, {})
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]
        assert not runner.is_stopped
        assert len(list(runner.run([numbers(1)], tasks.same, {}))) == 1

    def test_it_is_closed_more_than_once(self, runner: Runner) -> None:
        runner.close()
        runner.close()
