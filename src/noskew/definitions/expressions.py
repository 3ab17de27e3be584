"""Expressions: on-demand functions written in SQL, for which no call of an engine is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from noskew.definitions.engines import installed_engine
from noskew.definitions.expression_functions import check
from noskew.definitions.expression_tree import INPUTS, Node, bind, statement
from noskew.errors import TransformError
from noskew.translation.dialects import DUCKDB, check_dialect, to_duckdb, unchecked_note
from noskew.types import Schema, check_name


@dataclass(frozen=True)
class Expressions:
    """Outputs by name, each a SQL expression over the inputs of a function.

    ``texts`` is what their author wrote, in ``dialect``. ``statements`` is what gives them their
    meaning, in DuckDB's dialect: a SELECT each, translated when a function is defined. ``trees``
    is what DuckDB makes of those, once they are bound to the columns of a function.
    """

    texts: tuple[tuple[str, str], ...]
    engine: str = ""
    dialect: str = DUCKDB
    statements: tuple[str, ...] = ()
    trees: Mapping[str, Node] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.engine:
            object.__setattr__(self, "engine", installed_engine("sql"))

    @property
    def title(self) -> str:
        """What it is, for people."""
        named = f" ({self.dialect}{unchecked_note(self.dialect)})"
        dialect = "" if self.dialect == DUCKDB else named
        return f"SQL{dialect}: {', '.join(text for _, text in self.texts)}"

    def bound(self, columns: Schema, what: str) -> tuple[Expressions, Schema]:
        """With the trees over these columns, and the names and types of the outputs.

        Raises TransformError for an expression that cannot be translated, that DuckDB refuses,
        that is not row-wise and deterministic, or that uses a function the kernel does not have.
        """
        statements, trees, outputs = [], {}, {}
        for i, (name, text) in enumerate(self.texts):
            where = f"{what}, output {name!r}"
            sql = self.statements[i] if self.statements else statement(text)
            if self.dialect != DUCKDB and not self.statements:
                sql = to_duckdb(sql, self.dialect, INPUTS, columns, where)
            try:
                tree, kind = bind(sql, columns, where)
                check(tree, where)
            except TransformError as error:
                if self.dialect != DUCKDB:
                    error.add_note(f"translated from {self.dialect}, it reads:\n{sql}")
                raise
            statements.append(sql)
            trees[name], outputs[name] = tree, kind
        kept = () if self.dialect == DUCKDB else tuple(statements)
        return replace(self, statements=kept, trees=trees), Schema(outputs)

    def identity(self) -> dict[str, Any]:
        """Its texts, what they were translated to, and the engine that gives both a meaning."""
        translated = {"dialect": self.dialect, "statements": list(self.statements)}
        return {
            "kind": "expressions",
            "expressions": [list(pair) for pair in self.texts],
            "engine": self.engine,
            **(translated if self.dialect != DUCKDB else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Expressions:
        """The inverse of :meth:`identity`; to be bound again."""
        return cls(
            tuple((name, text) for name, text in data["expressions"]),
            data["engine"],
            data.get("dialect", DUCKDB),
            tuple(data.get("statements", ())),
        )


def expressions(
    texts: Mapping[str, str], *, dialect: str = DUCKDB, unchecked: bool = False
) -> Expressions:
    """SQL expressions as an on-demand function: ``{"slack": "scheduled - typical"}``.

    Each is row-wise, over the inputs and request fields of the function, by name; types of outputs
    follow from it. An expression means what it means in DuckDB, and fails where it fails there: an
    integer that overflows, a cast of a value that does not fit. noskew computes it itself, over
    columns, which takes a few µs for one row. Functions that it does not have are refused when the
    on-demand function is defined.

    ``dialect``: any that sqlglot reads (``"spark"``, ``"postgres"``, …). The text is translated to
    DuckDB's dialect when the function is defined. ``unchecked``: needed for dialects other than
    DuckDB's, Spark's and PostgreSQL's, whose values nobody compared. Raises TransformError for an
    unknown or unchecked dialect.
    """
    if not isinstance(texts, Mapping) or not texts:
        raise TransformError(
            f"ns.expressions expects outputs and their expressions, such as "
            f"{{'total': 'price * items'}}; got {texts!r}"
        )
    pairs = []
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise TransformError(f"ns.expressions: expected SQL for {name!r}, got {text!r}")
        pairs.append((check_name(name, "ns.expressions, output"), text.strip()))
    dialect = check_dialect(dialect, "ns.expressions", unchecked=unchecked)
    return Expressions(tuple(pairs), dialect=dialect)
