"""What functions of other dialects mean here: a page made from the tables that translate them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from noskew.translation.language import Language
from noskew.translation.postgres.language import PostgresLanguage
from noskew.translation.rules import DialectFunction
from noskew.translation.spark.language import SparkLanguage

ABOUT = """\
What a SELECT with `dialect="spark"`, `"databricks"` or `"hive"`, a PySpark function, and a SELECT
with `dialect="postgres"` mean here. Every entry was compared, bit for bit, with what Spark (ANSI
mode off) and PostgreSQL themselves compute for null, NaN, infinity, the ends of integers, Unicode,
old dates and turns of clocks. [Write transforms](../how-to/transforms.md#other-dialects) has the
rules that hold for all of them.

- **Same**: DuckDB means the same by it.
- **Repaired**: what runs is something else than DuckDB's function of that name.
- **Last bits**: the same up to the last few bits; how such functions round is the choice of the C
  library here, and of Java's or PostgreSQL's there. Every path of noskew gives the same.
- **Refused**: for the reason given, when the view is defined. So is every function that is not
  listed."""


def page() -> str:
    """The page, without its title."""
    return "\n\n".join([ABOUT, *(_language(kind) for kind in (SparkLanguage, PostgresLanguage))])


def _language(language: type[Language]) -> str:
    known = language.functions
    same = [n for n, f in known.items() if not f.note and not f.close]
    parts = [f"## {language.title}", f"**Same**: {_names(same)}"]
    close = {n: f for n, f in known.items() if f.close}
    repaired = {n: f for n, f in known.items() if f.note and not f.close}
    parts.append(_table("repaired", "what it means", _by_note(repaired)))
    parts.append(_table("last bits", "and", _by_note(close)))
    reasons: dict[str, list[str]] = {}
    for name, reason in language.refused.items():
        reasons.setdefault(reason, []).append(name)
    parts.append(_table("refused", "why", reasons))
    return "\n\n".join(parts)


def _by_note(functions: Mapping[str, DialectFunction]) -> dict[str, list[str]]:
    notes: dict[str, list[str]] = {}
    for name, function in functions.items():
        notes.setdefault(function.note, []).append(name)
    return notes


def _table(names: str, what: str, rows: Mapping[str, Iterable[str]]) -> str:
    lines = [f"| {names} | {what} |", "|---|---|"]
    lines += [f"| {_names(names)} | {_cell(note)} |" for note, names in rows.items()]
    return "\n".join(lines)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{_cell(name)}`" for name in sorted(names))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
