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


def check_dialect(name: str, what: str) -> str:
    """The dialect in lower case. Raises TransformError, naming the nearest, for an unknown one."""
    if name == DUCKDB:
        return name
    from sqlglot.dialects.dialect import Dialects

    known = [d.value for d in Dialects if d.value]
    if not isinstance(name, str) or name.lower() not in known:
        raise TransformError(f"{what}: unknown SQL dialect {name!r}; {nearest(str(name), known)}")
    return name.lower()


def to_duckdb(text: str, dialect: str, source_name: str, columns: Schema, what: str) -> str:
    """The SELECT over a source in DuckDB's dialect; the same text if it is in that already.

    Spark's dialect and PostgreSQL's are translated by tables that were compared with their own
    engines, and anything else in them is refused; other dialects are translated by sqlglot.
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
