"""Engines: the libraries that give transforms and filters their meaning."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from noskew.errors import TransformError, missing_extra

_ENGINES = {
    "sql": "duckdb",
    "pyspark": "duckdb",
    "pandas": "pandas",
    "polars": "polars",
    "arrow": "pyarrow",
}


@lru_cache(maxsize=len(_ENGINES))
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


def check_engine(kind: str, engine: str, what: str) -> None:
    """Refuse to run a definition on another engine than the one that gave it its meaning.

    ``engine``: what it was applied with. Raises TransformError.
    """
    installed = installed_engine(kind)
    if installed != engine:
        raise TransformError(
            f"{what} was applied with {engine} and {installed} is installed, which may "
            f"compute other values; plan and apply it again, or install {engine}"
        )
