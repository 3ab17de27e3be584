"""The limit of a command: a process that reads a SQLite file and decodes the JSON in it.

python -m bench.size_bare FILE
"""

from __future__ import annotations

import sqlite3
import sys

import orjson


def main() -> None:
    connection = sqlite3.connect(sys.argv[1])
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        # The name of a table is no value, so that it cannot be a parameter.
        for row in connection.execute(f'SELECT * FROM "{table}"'):
            for text in row:
                if isinstance(text, str) and text.startswith(("{", "[")):
                    orjson.loads(text)


if __name__ == "__main__":
    main()
