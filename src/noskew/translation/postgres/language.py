"""PostgreSQL's SQL as a language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from noskew.translation.language import Language
from noskew.translation.parser_dialects import PlainPostgres
from noskew.translation.postgres import conversions
from noskew.translation.postgres.functions import FUNCTIONS
from noskew.translation.postgres.operators import OPERATORS
from noskew.translation.rules import DialectFunction
from noskew.translation.typed import (
    BOOL,
    DATE,
    DOUBLE,
    FLOAT,
    INT,
    INTEGERS,
    LONG,
    STRING,
    TIMESTAMP,
    Typed,
    Unfit,
    decimal,
    list_of,
)
from noskew.types import DType

_D = exp.DataType.Type
_TYPES: Mapping[Any, DType] = {
    _D.BOOLEAN: BOOL,
    _D.SMALLINT: INTEGERS[1],
    _D.INT: INT,
    _D.BIGINT: LONG,
    _D.FLOAT: FLOAT,
    _D.DOUBLE: DOUBLE,
    _D.TEXT: STRING,
    _D.VARCHAR: STRING,
    _D.DATE: DATE,
    _D.TIMESTAMP: TIMESTAMP,
    _D.TIMESTAMPTZ: TIMESTAMP,
}
_FORMATS = (
    "patterns of dates and numbers follow settings of the server; use extract, date_trunc "
    "and casts, or DuckDB's dialect: strftime"
)
_BEYOND = "its value depends on more than the row"
_ROWS = "it makes several rows of one"
_AGGREGATE = "an aggregate looks at many rows; use features=[ns.mean(…)] for that"
_LONGEST = (
    "PostgreSQL prefers the longest match, and DuckDB the first; write it in DuckDB's "
    "dialect: regexp_extract, regexp_replace"
)
_TITLE = "words and letters are told apart by the collation"
_JSON = "readers of JSON disagree; write it in DuckDB's dialect: json_extract_string"
_REASONS: Mapping[str, str] = {
    _FORMATS: "to_char to_date to_timestamp to_number age justify_days justify_hours format",
    _BEYOND: """
        now current_date current_time current_timestamp localtime localtimestamp clock_timestamp
        statement_timestamp transaction_timestamp timeofday random gen_random_uuid uuid
        uuid_generate_v4 nextval currval current_user session_user current_setting version
        pg_sleep txid_current
    """,
    _ROWS: """
        unnest generate_series generate_subscripts regexp_split_to_table regexp_matches json_each
        jsonb_each string_to_table
    """,
    _AGGREGATE: """
        array_agg avg bit_and bit_or bool_and bool_or corr count covar_pop covar_samp every
        json_agg jsonb_agg max min mode percentile_cont percentile_disc regr_slope stddev
        stddev_pop stddev_samp string_agg sum var_pop var_samp variance row_number rank dense_rank
        lag lead ntile first_value last_value nth_value cume_dist percent_rank
    """,
    _LONGEST: "regexp_match regexp_replace regexp_split_to_array regexp_substr regexp_count",
    _TITLE: "initcap",
    _JSON: "json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text",
}


class PostgresLanguage(Language):
    """PostgreSQL, with the session's time zone UTC and texts compared as by the collation C."""

    title: ClassVar[str] = "PostgreSQL"
    reader: ClassVar[type[Dialect]] = PlainPostgres
    functions: ClassVar[Mapping[str, DialectFunction]] = {**FUNCTIONS, **OPERATORS}
    refused: ClassVar[Mapping[str, str]] = {
        name: reason for reason, names in _REASONS.items() for name in names.split()
    }
    extract: ClassVar[str] = "extract"
    has_decimal_exponents: ClassVar[bool] = True

    def column(self, value: Typed) -> Typed:
        """PostgreSQL has no integers of one byte: they are of two."""
        return conversions.convert(value, INTEGERS[1]) if value.type == INTEGERS[0] else value

    def cast(self, value: Typed, to: DType) -> Typed:
        return conversions.cast(value, to)

    def convert(self, value: Typed, to: DType) -> Typed:
        return conversions.convert(value, to)

    def common(self, values: Sequence[Typed]) -> DType | None:
        return conversions.common(values)

    def comparable(self, values: Sequence[Typed]) -> list[Typed]:
        return conversions.comparable(values)

    def type_of(self, written: exp.DataType) -> DType:
        kind = written.this
        if kind == _D.DECIMAL and written.expressions:
            digits = [int(str(e.this)) for e in written.expressions]
            return decimal(digits[0], digits[1] if len(digits) > 1 else 0)
        if kind == _D.DECIMAL:
            raise Unfit("numeric needs its digits here: numeric(18, 2)")
        if kind == _D.ARRAY and len(written.expressions) == 1:
            return list_of(self.type_of(written.expressions[0]))
        if kind not in _TYPES or (kind in (_D.VARCHAR, _D.TIMESTAMP) and written.expressions):
            raise Unfit(f"{written.sql(self.reader)} is no type that columns have here")
        return _TYPES[kind]
