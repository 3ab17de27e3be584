"""A source that changes at random, in one of the forms that data comes in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pyarrow.parquet as pq

import noskew as ns
from noskew.definitions.connectors import Connector
from tests.relation.model import File, Row
from tests.relation.shop import DAY, FORMS, NOW, table_of

_SHOPS = ("", "a", "b", "ü")
_COMPRESSIONS = ("none", "zstd", "snappy")


class World:
    """One file or query, or a folder of files; ``files``: how each is written, and its rows."""

    def __init__(self, random: Random, place: Path, *, is_folder: bool) -> None:
        self._random, self._place, self.is_folder = random, place, is_folder
        self._made = 0
        self.files: dict[str, File] = {}
        if is_folder:
            self.add()
        else:
            self.files[""] = self._how(), ()

    def change(self) -> str:
        """Do something to it at random; returns what."""
        common: list[Callable[[], None]] = [
            self.insert,
            self.insert,
            self.duplicate,
            self.reorder,
            self.rewrite,
            self.update,
            self.delete,
        ]
        of_folder = [self.add, self.add, self.copy, self.compact, self.remove, self.repartition]
        chosen = self._random.choice([*common, *of_folder] if self.is_folder else common)
        chosen()
        return chosen.__name__

    def rows(self) -> list[Row]:
        """All rows, copies of files included."""
        return [row for _, rows in self.files.values() for row in rows]

    def some_rows(self) -> list[Row]:
        """New rows, some of them equal to one another."""
        made = [self._row() for _ in range(self._random.randint(1, 4))]
        return [*made, *self._random.choices(made, k=self._random.choice([0, 0, 1]))]

    # ---------------------------------------------------------------- what can happen to a file

    def insert(self) -> None:
        self._edit(lambda rows: [*rows, *self.some_rows()])

    def duplicate(self) -> None:
        self._edit(lambda rows: rows + self._random.choices(rows, k=1) if rows else rows)

    def reorder(self) -> None:
        self._edit(lambda rows: self._random.sample(rows, len(rows)))

    def rewrite(self) -> None:
        self._edit(lambda rows: rows)

    def update(self) -> None:
        def one(rows: list[Row]) -> list[Row]:
            if rows:
                at = self._random.randrange(len(rows))
                user, when, amount, shop = rows[at]
                rows[at] = (user, when, amount + 0.5, shop)
            return rows

        self._edit(one)

    def delete(self) -> None:
        self._edit(lambda rows: self._random.sample(rows, max(0, len(rows) - 1)))

    # ---------------------------------------------------------------- what can happen to a folder

    def add(self) -> None:
        self._put(self.some_rows())

    def copy(self) -> None:
        self.files[self._path()] = self._random.choice(list(self.files.values()))

    def compact(self) -> None:
        chosen = self._random.sample(sorted(self.files), min(2, len(self.files)))
        contents = dict.fromkeys(self.files.pop(path) for path in chosen)
        self._put([row for _, rows in contents for row in rows])

    def remove(self) -> None:
        if len(self.files) > 1:  # a folder without files is refused: it may be the wrong one
            del self.files[self._random.choice(sorted(self.files))]

    def repartition(self) -> None:
        rows = [row for _, rows in dict.fromkeys(self.files.values()) for row in rows]
        self._random.shuffle(rows)
        self.files.clear()
        for part in range(3):
            self._put(rows[part::3])

    # ---------------------------------------------------------------- as data

    def connector(self) -> Connector:
        """Write it, and say where it is."""
        if not self.is_folder:
            form, rows = self.files[""]
            return FORMS[form](self._place, table_of(rows))
        folder = self._place / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path, (compression, rows) in self.files.items():
            pq.write_table(table_of(rows), folder / path, compression=compression)
        return ns.Parquet(str(folder))

    def _edit(self, change: Callable[[list[Row]], list[Row]]) -> None:
        path = self._random.choice(sorted(self.files))
        how, rows = self._how(), change(list(self.files[path][1]))
        self.files[path] = how, tuple(sorted(rows) if how == "duckdb" else rows)

    def _put(self, rows: list[Row]) -> None:
        self.files[self._path()] = self._how(), tuple(rows)

    def _how(self) -> str:
        return self._random.choice(_COMPRESSIONS if self.is_folder else sorted(FORMS))

    def _path(self) -> str:
        self._made += 1
        return f"{self._random.choice('abc')}{self._made}.parquet"

    def _row(self) -> Row:
        user, day = self._random.randint(1, 3), self._random.randint(1, 20)
        return user, NOW - day * DAY, self._random.randint(-4, 4) / 4, self._random.choice(_SHOPS)
