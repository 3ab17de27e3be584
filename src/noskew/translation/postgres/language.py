"""PostgreSQL's SQL as a language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from noskew.translation.language import TYPES, Language
from noskew.translation.parser_dialects import PlainPostgres
from noskew.translation.postgres import conversions
from noskew.translation.postgres.functions import FUNCTIONS
from noskew.translation.postgres.operators import OPERATORS
from noskew.translation.rules import DialectFunction
from noskew.translation.typed import INTEGERS, Typed
from noskew.types import DType

_D = exp.DataType.Type
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
    with_parameters: ClassVar[frozenset[Any]] = frozenset(TYPES) - {_D.VARCHAR, _D.TIMESTAMP}

    def column(self, value: Typed) -> Typed:
        """PostgreSQL has no integers of one byte: they are of two."""
        return conversions.convert(value, INTEGERS[1]) if value.type == INTEGERS[0] else value

    def cast(self, value: Typed, to: DType) -> Typed:
        return conversions.cast(value, to)

    def convert(self, value: Typed, to: DType) -> Typed:
        return conversions.convert(value, to)

    def wider(self, kind: DType, value: Typed) -> DType:
        return conversions.wider(kind, value)
