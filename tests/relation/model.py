"""A naive model of a source that changes, and of the events that it has given: lists and loops.

It knows what decisions 23 and 24 say and nothing of how it is done: rows are tuples, compared as
values; an event has the time when it became known and when it was taken back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from noskew.testing.reference import Fact

#: A row of the shop: user, event time (µs), amount, shop.
Row = tuple[int, int, float, str]
#: A file: how it was written, and its rows. Files that are equal in both are copies.
File = tuple[str, tuple[Row, ...]]


@dataclass
class Event:
    """An event that a row gave; ``path``: of the file that had it first, None for given data.

    ``known`` and ``retracted`` say by which ingest, too: no two have one time.
    """

    row: Row
    known: int
    path: str | None
    retracted: int | None = None


class Refused(Exception):
    """Rows are gone that must not be."""


@dataclass
class Model:
    """``files``: what was there at the last ingest, None before the first.

    ``is_mixed``: whether there may be events of rows that none of these has.
    """

    changes: str | None
    events: list[Event] = field(default_factory=list)
    files: frozenset[File] | None = None
    is_mixed: bool = False

    def facts(self) -> list[Fact]:
        """For the reference: every event, in the order of arrival."""
        return [
            Fact((user,), at, e.known, n, {"amount": amount, "shop": shop}, e.retracted)
            for n, e in enumerate(self.events)
            for user, at, amount, shop in [e.row]
        ]

    def give(self, rows: Sequence[Row], now: int) -> None:
        """Ingest rows that are an extract by themselves."""
        there = Counter(e.row for e in self._live())
        self._add([(row, None) for row in rows if not _taken(there, row)], now)
        self.is_mixed = True

    def ingest(self, files: Mapping[str, File], now: int, *, is_folder: bool) -> None:
        """Ingest the source's own data. Raises Refused, and changes nothing."""
        present: dict[File, str] = {}
        for path in sorted(files):
            present.setdefault(files[path], path)
        last, content = self.files, frozenset(present)
        if last == content:
            return
        if not self.is_mixed and (not last or last <= content):
            fresh = [item for item in present.items() if item[0] not in (last or ())]
            self._add([(row, path) for (_, rows), path in fresh for row in rows], now)
        else:
            self._compare(present, now, is_folder=is_folder)
        self.files = content

    def undo(self, then: int, now: int) -> None:
        """Undo the ingest of a time."""
        lost = [e for e in self.events if e.retracted == then]
        for event in self._live():
            if event.known == then:
                event.retracted = now
        there = Counter((e.row, e.path is None) for e in self._live())
        for event in lost:
            if there[event.row, event.path is None]:
                there[event.row, event.path is None] -= 1
            else:
                self._add([(event.row, event.path)], now)
        self.files, self.is_mixed = frozenset(), True

    def _compare(self, present: Mapping[File, str], now: int, *, is_folder: bool) -> None:
        rows = [(row, path) for file, path in present.items() for row in file[1]]
        left = Counter(row for row, _ in rows)
        paths = set(present.values())
        own = [e for e in self._live() if e.path is not None]
        # Of equal events those of files that are gone are gone first, then the last ones.
        own.sort(key=lambda e: e.path not in paths)
        gone = [event for event in own if not _taken(left, event.row)]
        if self.changes != "replace":
            strict = not is_folder or self.changes == "grow"
            if any(strict or e.path in paths for e in gone):
                raise Refused
        given = Counter(e.row for e in self._live() if e.path is None)
        fresh = []
        for row, path in reversed(rows):  # which of equal rows is new makes no difference
            if left[row]:
                left[row] -= 1
                fresh.append((row, path))
        self._add([(r, p) for r, p in reversed(fresh) if not _taken(given, r)], now)
        if self.changes == "replace":
            for event in gone:
                event.retracted = now
        has_given = any(e.path is None for e in self.events)
        self.is_mixed = has_given or (bool(gone) and self.changes != "replace")

    def _live(self) -> list[Event]:
        return [e for e in self.events if e.retracted is None]

    def _add(self, rows: Sequence[tuple[Row, str | None]], now: int) -> None:
        self.events += [Event(row, now, path) for row, path in rows]


def _taken(there: Counter[Row], row: Row) -> bool:
    """Take a row out, if it is there."""
    if not there[row]:
        return False
    there[row] -= 1
    return True
