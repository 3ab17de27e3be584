"""The dialects whose meaning was compared with their own engine, and their translation."""

from __future__ import annotations

from functools import lru_cache

from sqlglot import ErrorLevel, exp
from sqlglot.errors import SqlglotError

from noskew.errors import TransformError
from noskew.translation.language import Language
from noskew.translation.postgres.language import PostgresLanguage
from noskew.translation.selects import Selects
from noskew.translation.spark.language import SparkLanguage
from noskew.translation.translator import Translator
from noskew.types import Schema

_LANGUAGES: dict[str, type[Language]] = {
    **dict.fromkeys(("spark", "spark2", "databricks", "hive"), SparkLanguage),
    "postgres": PostgresLanguage,
}


def is_verified(dialect: str) -> bool:
    """Whether a dialect is translated by tables of ours."""
    return dialect in _LANGUAGES


def parsed(text: str, dialect: str) -> exp.Expr:
    """The one statement that a text is. Raises SqlglotError, ValueError for another number."""
    statements = [s for s in _LANGUAGES[dialect].reader().parse(text) if s is not None]
    if len(statements) != 1:
        raise ValueError(f"expected one SELECT statement, got {len(statements)}")
    return statements[0]


@lru_cache(maxsize=1_024)
def translate_select(text: str, dialect: str, source_name: str, columns: Schema, what: str) -> str:
    """The SELECT over a source in DuckDB's dialect.

    Raises TransformError for text that the parser refuses, and for what is not known to mean the
    same in DuckDB.
    """
    language = _LANGUAGES[dialect]()
    try:
        statement = parsed(text, dialect)
    except SqlglotError as error:
        message = str(error).splitlines()[0]
        raise TransformError(
            f"{what}: it cannot be translated from {dialect} to DuckDB's SQL, which runs it: "
            f"{message}. Columns of {source_name!r}: {columns}"
        ) from error
    except ValueError as error:
        raise TransformError(f"{what}: {error}") from None
    translator = Translator(language, what)
    tree = Selects(translator, source_name, columns, what).statement(statement)
    return tree.sql("duckdb", unsupported_level=ErrorLevel.RAISE, normalize_functions=False)
