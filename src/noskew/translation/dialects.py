"""Translate a SELECT of any dialect into DuckDB's, which is what runs.

The translation is made once, when a view is defined, and is part of the definition: what
another release of the translator would make of the same text is another definition.

sqlglot takes long to load, and most projects write DuckDB's own SQL: it and the modules that use it
are imported where a dialect needs them.
"""

from __future__ import annotations

from noskew.errors import TransformError, nearest
from noskew.types import Schema

#: The dialect that needs no translation.
DUCKDB = "duckdb"


#: Dialects whose translation was compared with their engines, function by function.
COMPARED = frozenset({DUCKDB, "spark", "spark2", "databricks", "hive", "postgres"})


def unchecked_note(dialect: str) -> str:
    """What is said of a dialect beside its name; empty for one that was compared."""
    return "" if dialect in COMPARED else ", unchecked"


def check_dialect(name: str, what: str, *, unchecked: bool) -> str:
    """The dialect in lower case.

    Raises TransformError, naming the nearest, for an unknown one; and for one that was not compared
    with its engine, unless its author takes it ``unchecked``.
    """
    if name == DUCKDB:
        return name
    from sqlglot.dialects.dialect import Dialects

    known = [d.value for d in Dialects if d.value]
    if not isinstance(name, str) or name.lower() not in known:
        raise TransformError(f"{what}: unknown SQL dialect {name!r}; {nearest(str(name), known)}")
    if name.lower() not in COMPARED and not unchecked:
        raise TransformError(
            f"{what}: the dialect {name.lower()!r} is translated, but was not compared with its "
            f"engine: some expressions, such as casts and differences of times, would give other "
            f"values than there. Write one of {', '.join(sorted(COMPARED))}; or look at what "
            f"'noskew show' prints, and say unchecked=True"
        )
    return name.lower()


def to_duckdb(text: str, dialect: str, source_name: str, columns: Schema, what: str) -> str:
    """The SELECT over a source in DuckDB's dialect; the same text if it is in that already.

    Spark's dialect and PostgreSQL's are translated by tables that were compared with their own
    engines, and anything else in them is refused; other dialects are translated by sqlglot, and
    keep DuckDB's meaning where it is another one.
    Types matter to the translation (``7 / 2`` is 3 in PostgreSQL and 3.5 in MySQL), so the
    columns of the source are needed.

    Raises TransformError for text that the dialect's parser refuses, and for what has no
    equivalent in DuckDB.
    """
    if dialect == DUCKDB:
        return text
    from noskew.translation.transpiled import transpile
    from noskew.translation.verified_dialects import is_verified, translate_select

    translate = translate_select if is_verified(dialect) else transpile
    return translate(text, dialect, source_name, columns, what)
