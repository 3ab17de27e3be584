"""Engines: the libraries that give transforms and filters their meaning."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from noskew.errors import missing_extra

_ENGINES = {
    "sql": "duckdb", "pyspark": "duckdb", "pandas": "pandas", "polars": "polars",
    "arrow": "pyarrow",
}  # fmt: skip


def installed_engine(kind: str) -> str:
    """The library that runs transforms of a kind, and its major version: ``duckdb-2``.

    It is part of what a value is. A definition keeps the engine it was made with; a process
    that has another refuses to run it. Raises MissingExtraError if there is none.
    """
    library = _ENGINES[kind]
    try:
        return f"{library}-{version(library).split('.')[0]}"
    except PackageNotFoundError as error:
        raise missing_extra(library, kind, f"ns.{kind}") from error
