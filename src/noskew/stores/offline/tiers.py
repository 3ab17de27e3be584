"""Which small files of a bucket to merge, so that there are few and each row is rarely rewritten.

Of the files by size, the smallest are merged up to the last one that is no larger than all before
it together. So merging at least doubles the size of the file that each of its rows is in, which
can happen to a row log2(rows) times. Any file that is left is larger than all smaller ones
together, so at most log2(rows) + 1 are left. Fewer than four are not worth the while.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from noskew.stores.offline.plan import PlannedFile

_LEAST_FILES = 4
#: Files from this size on are left alone. A merge, which mostly runs beside a stream, holds its
#: rows in memory, unsorted and sorted: some twenty times the bytes that it reads.
_LARGE_BYTES = 4 * 1024 * 1024
#: What a merge reads at most: never fewer than four files.
_MOST_BYTES = _LEAST_FILES * _LARGE_BYTES


def small_run(files: Iterable[PlannedFile]) -> tuple[PlannedFile, ...]:
    """The files of one bucket to merge into one; none if there are few enough.

    To be called again when it was merged, as only so much is merged at a time.
    """
    small = sorted(
        (file for file in files if file.bytes < _LARGE_BYTES), key=lambda f: (f.rows, f.path)
    )
    end = 0
    before = accumulate((file.rows for file in small), initial=0)
    for place, (file, smaller) in enumerate(zip(small, before, strict=False)):
        if file.rows <= smaller:
            end = place + 1
    read = accumulate(file.bytes for file in small[:end])
    run = tuple(file for file, size in zip(small, read, strict=False) if size <= _MOST_BYTES)
    return run if len(run) >= _LEAST_FILES else ()
