"""Which of DuckDB's functions depend on their arguments alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from noskew.duckdb_session import isolated_session

FORBIDDEN = "its value depends on more than the row"
#: Words that DuckDB takes for functions where no column has that name.
VALUE_FUNCTIONS = frozenset(
    """
    current_catalog current_date current_role current_schema current_time current_timestamp
    current_user current_localtime current_localtimestamp localtime localtimestamp session_user
    user
    """.split()
)
#: DuckDB calls these consistent; they read the clock (age of one argument), or depend on its
#: version, on the plan, or on names.
_INCONSTANT = frozenset(
    """
    age current_localtime current_localtimestamp hash create_sort_key version alias
    json_serialize_plan json_serialize_sql json_deserialize_sql getenv index_key
    """.split()
)
#: Macros made of consistent functions; besides these, those named list_… and array_….
_MACROS = frozenset(
    """
    nullif fmod fdiv if split_part days_in_month date_add md5_number_lower md5_number_upper
    map_contains_entry map_contains_value json ifnull
    """.split()
)


def why_not(name: str) -> str:
    """Why a function (in lower case) may not stand in a transform; empty if it may."""
    kind = _kinds().get(name)
    if kind == "pure":
        return ""
    if kind == "aggregate":
        return "an aggregate looks at many rows; use features=[ns.mean(…)] for that"
    if name == "unnest" or kind == "table":
        return "it makes several rows of one"
    return FORBIDDEN if kind else "DuckDB has no such function"


@lru_cache(maxsize=1)
def _kinds() -> Mapping[str, str]:
    """What each of DuckDB's functions is: pure, aggregate, table or other."""
    rows = isolated_session(threads=1).execute(
        "SELECT lower(function_name), function_type, parameter_types, return_type, stability "
        "FROM duckdb_functions()"
    )
    return kinds_of(rows.fetchall())


def kinds_of(rows: Iterable[tuple[Any, ...]]) -> dict[str, str]:
    """What each function is, by all that DuckDB says of it.

    ``rows``: name, type, types of parameters, type of the value, and stability, of each overload.
    """
    types: dict[str, set[str]] = {}
    unsure: set[str] = set()
    for name, kind, parameters, value, stability in rows:
        types.setdefault(name, set()).add(kind)
        if not _is_fixed(parameters or (), str(value), stability):
            unsure.add(name)
    return {name: _kind(name, kinds, name not in unsure) for name, kinds in types.items()}


def _is_fixed(parameters: Sequence[str], value: str, stability: str | None) -> bool:
    """Whether an overload depends on its arguments alone, in a session of ours.

    Releases differ in what they call those that look at the session's time zone, which is UTC in
    ours: 2.0.0 consistent, 2.0.1 consistent within a query. Of these, all that take an argument
    and have to do with a zone are fixed; what takes none reads the clock.
    """
    if stability in ("CONSISTENT", None):
        return True
    zoned = any("WITH TIME ZONE" in t or "TIMESTAMPTZ" in t for t in (*parameters, value))
    return stability == "CONSISTENT_WITHIN_QUERY" and bool(parameters) and zoned


def _kind(name: str, types: set[str], is_fixed: bool) -> str:
    if types & {"aggregate"}:
        return "aggregate"
    if name in _INCONSTANT or name.startswith("__"):
        return "other"
    if types <= {"scalar", "table"} and "scalar" in types:
        return "pure" if is_fixed else "other"
    if types == {"macro"}:
        return "pure" if name in _MACROS or name.startswith(("list_", "array_")) else "other"
    return "table" if "table" in types or "table_macro" in types else "other"
