"""Which small files are merged: few are left, no row is written again often, memory is bounded."""

from __future__ import annotations

from math import log2
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st

from noskew.stores.offline.plan import PlannedFile
from noskew.stores.offline.tiers import small_run

MIB = 1024 * 1024


def planned(path: int, rows: int, size: int | None = None) -> PlannedFile:
    size = 1_000 + rows if size is None else size
    return PlannedFile(str(path), 0, rows, size, None, None, None, cast("Any", None))


@given(appended=st.lists(st.integers(1, 1_000), max_size=120), every=st.integers(1, 9))
@example(appended=[1] * 120, every=1)
@example(appended=[2**n for n in range(12)], every=1)
@example(appended=[2**n for n in reversed(range(12))], every=1)
def test_few_files_are_left_and_rows_are_rarely_rewritten(appended: list[int], every: int) -> None:
    files: list[PlannedFile] = []
    rewritten: dict[str, int] = {}
    for number, rows in enumerate(appended):
        files.append(planned(number, rows))
        if number % every:
            continue
        run = small_run(files)
        assert not run or len(run) >= 4
        if run:
            merged = planned(-1 - number, sum(file.rows for file in run))
            rewritten[merged.path] = 1 + max(rewritten.get(file.path, 0) for file in run)
            files = [file for file in files if file not in run] + [merged]
            # As often as its file has doubled at least.
            assert rewritten[merged.path] <= log2(merged.rows)
        assert small_run(files) == ()
        assert len(files) <= 4 + log2(sum(file.rows for file in files))


def test_large_files_are_left_alone_and_merges_are_bounded() -> None:
    files = [planned(0, 10, 4 * MIB)] + [planned(n, 10, 4 * MIB - 1) for n in range(1, 100)]
    merges = []
    while run := small_run(files):
        assert sum(file.bytes for file in run) <= 16 * MIB
        assert planned(0, 10, 4 * MIB) not in run
        merges.append(run)
        files = [file for file in files if file not in run]
    assert sum(map(len, merges)) >= 96
    assert len({file.path for run in merges for file in run}) == sum(map(len, merges))
