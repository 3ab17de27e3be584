"""Expressions: from a dialect's tree, function by function, to DuckDB's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from noskew.errors import TransformError, nearest
from noskew.translation.language import Language
from noskew.translation.rules import apply_rules
from noskew.translation.typed import (
    BOOL,
    DOUBLE,
    INT,
    LONG,
    STRING,
    Typed,
    Unfit,
    as_type,
    decimal,
    fill,
    integer_literal,
    text,
)
from noskew.types import DType

_INT_MAX, _LONG_MAX = 2**31 - 1, 2**63 - 1
_BINARY: Mapping[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.IntDiv: "div",
    exp.Mod: "%",
    exp.DPipe: "||",
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "<=>",
    exp.NullSafeNEQ: "is distinct from",
    exp.And: "and",
    exp.Or: "or",
    exp.RegexpLike: "rlike",
    exp.RegexpILike: "~*",
    exp.Like: "like",
    exp.ILike: "ilike",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
    exp.BitwiseLeftShift: "shiftleft",
    exp.BitwiseRightShift: "shiftright",
    exp.Pow: "power",
}
_UNARY: Mapping[type[exp.Expr], str] = {
    exp.Not: "not",
    exp.Neg: "negative",
    exp.BitwiseNot: "~",
    exp.CurrentDate: "current_date",
    exp.CurrentTime: "current_time",
    exp.CurrentTimestamp: "current_timestamp",
    exp.CurrentUser: "current_user",
    exp.SessionUser: "session_user",
}

#: Parts of a node that add nothing to its meaning, or that every reader of it looks at.
_COMMON = frozenset("this expression safe typed value_constructor".split())
#: Parts that the reader of a kind of node looks at; one with others is refused.
_PARTS: Mapping[type[exp.Expr], frozenset[str]] = {
    exp.Literal: frozenset({"is_string"}),
    exp.Column: frozenset({"table", "db"}),
    exp.Identifier: frozenset({"quoted"}),
    exp.Cast: frozenset({"to"}),
    exp.TryCast: frozenset({"to"}),
    exp.Case: frozenset({"ifs", "default"}),
    exp.In: frozenset({"expressions", "query"}),
    exp.Between: frozenset({"low", "high"}),
    exp.Bracket: frozenset({"expressions"}),
    exp.Anonymous: frozenset({"expressions"}),
    exp.Trim: frozenset({"position"}),
    exp.Substring: frozenset({"start", "length"}),
    exp.StrPosition: frozenset({"substr"}),
    exp.Array: frozenset({"expressions"}),
    exp.Window: frozenset(exp.Window.arg_types),
    exp.Concat: frozenset({"expressions", "coalesce"}),
}


@dataclass(frozen=True)
class Scope:
    """The names that an expression may use: columns, in lower case, with their types.

    ``table``: what they may be qualified by. ``names``: how each is spelled in DuckDB.
    """

    table: str
    columns: Mapping[str, DType | None]
    names: Mapping[str, str]
    #: Said of a name that is not there.
    known: str

    def with_variables(self, variables: Mapping[str, tuple[str, DType | None]]) -> Scope:
        """The same with the variables of a lambda: names, their spelling and their types."""
        types = {name: kind for name, (_, kind) in variables.items()}
        spelled = {name: spelling for name, (spelling, _) in variables.items()}
        return replace(self, columns={**self.columns, **types}, names={**self.names, **spelled})


class Translator:
    """Translates expressions of one language. Raises TransformError for what it does not know."""

    def __init__(self, language: Language, what: str) -> None:
        self.language = language
        self._what = what
        self._variables = 0

    def __call__(self, node: exp.Expr, scope: Scope) -> Typed:
        """The value of an expression."""
        try:
            return self._value(node, scope)
        except Unfit as unfit:
            raise self._refusal(node, str(unfit)) from unfit

    def _value(self, node: exp.Expr, scope: Scope) -> Typed:
        kind = type(node)
        if node.args.get("negate"):
            positive = node.copy()
            positive.set("negate", False)
            return self._call("not", [positive], scope)
        _check_parts(node)
        if kind in _BINARY:
            return self._call(_BINARY[kind], [node.this, node.args["expression"]], scope)
        if kind in _UNARY:
            return self._call(_UNARY[kind], [node.this] if node.this else [], scope)
        if kind in _SHAPES:
            return _SHAPES[kind](self, node, scope)
        raise Unfit

    def _call(self, name: str, nodes: Sequence[exp.Expr], scope: Scope) -> Typed:
        lower = name.lower()
        if lower in self.language.refused:
            raise Unfit(self.language.refused[lower])
        function = self.language.functions.get(lower)
        if function is None:
            raise Unfit(
                f"it is not among the functions that were compared with {self.language.title}'s; "
                f"write it in DuckDB's dialect (ns.sql without dialect=), or compute it in "
                f"ns.pandas, ns.polars or ns.arrow"
            )
        if function.special is not None:
            return function.special(self, nodes, scope)
        given = [self(node, scope) for node in nodes]
        try:
            return apply_rules(function, given, self.language.convert, self.language.common)
        except Unfit as unfit:
            kinds = ", ".join("null" if g.type is None else str(g.type) for g in given)
            known = " or ".join(f"({', '.join(r.takes)})" for r in function.rules)
            raise Unfit(
                str(unfit) or f"it is known of {known}, and got ({kinds}); cast the arguments"
            ) from unfit

    def _refusal(self, node: exp.Expr, reason: str) -> TransformError:
        written = node.sql(self.language.reader, normalize_functions=False)
        short = written if len(written) <= 80 else f"{written[:77]}…"
        reason = reason or (
            f"it is not among what was compared with {self.language.title}; write it in DuckDB's "
            f"dialect (ns.sql without dialect=)"
        )
        return TransformError(f"{self._what}: {short} is refused: {reason}")

    # ------------------------------------------------------------------------------- literals

    def _literal(self, node: exp.Expr, scope: Scope) -> Typed:
        del scope
        written = str(node.this)
        if node.args["is_string"]:
            return Typed(text(written), STRING, written)
        if written.isdigit():
            value = int(written)
            if value <= _LONG_MAX:
                kind = INT if value <= _INT_MAX else LONG
                return Typed(
                    as_type(integer_literal(value), kind)
                    if kind == LONG
                    else integer_literal(value),
                    kind,
                    value,
                )
            raise Unfit("it is beyond 64 bits")
        if written.replace(".", "", 1).isdigit():
            whole, fraction = written.split(".")
            digits = max(len(whole.lstrip("0")) + len(fraction), 1)
            if digits > 38:
                raise Unfit("it has more than 38 digits")
            kind = decimal(digits, len(fraction))
            return Typed(as_type(text(written), kind), kind, float(written))
        if self.language.has_decimal_exponents:
            raise Unfit("a number with an exponent is a numeric there; write its digits")
        return Typed(as_type(text(written), DOUBLE), DOUBLE, float(written))

    def _raw(self, node: exp.Expr, scope: Scope) -> Typed:
        del scope
        return Typed(text(str(node.this)), STRING, str(node.this))

    def _boolean(self, node: exp.Expr, scope: Scope) -> Typed:
        del scope
        return Typed(exp.Boolean(this=node.this), BOOL, bool(node.this))

    def _null(self, node: exp.Expr, scope: Scope) -> Typed:
        del node, scope
        return Typed(exp.Null(), None)

    # -------------------------------------------------------------------------------- shapes

    def _column(self, node: exp.Expr, scope: Scope) -> Typed:
        assert isinstance(node, (exp.Column, exp.Identifier))
        name = node.name.lower()
        table = node.text("table").lower()
        if node.args.get("db") or (table and table != scope.table):
            raise Unfit(f"there is no table {node.text('table')!r} here; it is {scope.table!r}")
        if name not in scope.columns:
            raise Unfit(
                f"there is no column {node.name!r}; {nearest(node.name, scope.names)}. "
                f"{scope.known}"
            )
        spelled = scope.names[name]
        tree = exp.column(exp.to_identifier(spelled, quoted=True))
        return self.language.column(Typed(tree, scope.columns[name]))

    def _paren(self, node: exp.Expr, scope: Scope) -> Typed:
        inner = self(node.this, scope)
        return replace(inner, tree=exp.paren(inner.tree, copy=False))

    def _cast(self, node: exp.Expr, scope: Scope) -> Typed:
        value, to = self(node.this, scope), self.language.type_of(node.args["to"])
        if value.type is None:
            return Typed(as_type(value.tree, to), to)
        return value if value.type == to else self.language.cast(value, to)

    def _case(self, node: exp.Expr, scope: Scope) -> Typed:
        tests, results = [], []
        for branch in node.args["ifs"]:
            test = branch.this
            if node.this is not None:
                test = exp.EQ(this=node.this.copy(), expression=test.copy())
            tests.append(self.as_bool(self(test, scope)))
            results.append(self(branch.args["true"], scope))
        default = node.args.get("default")
        results.append(self(default, scope) if default is not None else Typed(exp.Null(), None))
        results = self.unified(results)
        case = exp.Case(default=results[-1].tree)
        for test, result in zip(tests, results[:-1], strict=True):
            case.append("ifs", exp.If(this=test.tree, true=result.tree))
        return Typed(case, results[-1].type)

    def _in(self, node: exp.Expr, scope: Scope) -> Typed:
        items = node.args.get("expressions")
        if not items:
            raise Unfit("IN takes a list of values here; a subquery looks at other rows")
        values = self.unified([self(n, scope) for n in [node.this, *items]])
        trees = [v.tree for v in values]
        return Typed(exp.In(this=trees[0], expressions=trees[1:]), BOOL)

    def _between(self, node: exp.Expr, scope: Scope) -> Typed:
        parts = [node.this, node.args["low"], node.args["high"]]
        return self._call("between", parts, scope)

    def _is(self, node: exp.Expr, scope: Scope) -> Typed:
        value, test = self(node.this, scope), node.args["expression"]
        if isinstance(test, exp.Null):
            return Typed(fill("$1 IS NULL", value.tree), BOOL)
        if isinstance(test, exp.Boolean):
            return Typed(fill("$1 IS NOT DISTINCT FROM $2", self.as_bool(value).tree, test), BOOL)
        raise Unfit

    def _escape(self, node: exp.Expr, scope: Scope) -> Typed:
        like = node.this
        if not isinstance(like, (exp.Like, exp.ILike)):
            raise Unfit
        if like.args.get("negate"):
            positive = node.copy()
            positive.this.set("negate", False)
            return self._call("not", [positive], scope)
        _check_parts(like)
        parts = [like.this, like.args["expression"], node.args["expression"]]
        return self._call(_BINARY[type(like)], parts, scope)

    def _bracket(self, node: exp.Expr, scope: Scope) -> Typed:
        items = node.expressions
        if len(items) != 1 or isinstance(items[0], exp.Slice):
            raise Unfit
        return self._call("[]", [node.this, items[0]], scope)

    def _function(self, node: exp.Expr, scope: Scope) -> Typed:
        if any(isinstance(n, (exp.Star, exp.Distinct, exp.Order)) for n in node.expressions):
            return self._call(node.name, [], scope)
        return self._call(node.name, node.expressions, scope)

    def _extract(self, node: exp.Expr, scope: Scope) -> Typed:
        field = exp.Literal.string(node.name)
        return self._call(self.language.extract, [field, node.args["expression"]], scope)

    def _trim(self, node: exp.Expr, scope: Scope) -> Typed:
        side = node.text("position").lower() or "both"
        characters = node.args.get("expression")
        if characters is None and side == "both":
            return self._call("trim", [node.this], scope)
        characters = characters or exp.Literal.string(" ")
        return self._call(f"trim {side}", [node.this, characters], scope)

    def _substring(self, node: exp.Expr, scope: Scope) -> Typed:
        parts = [
            node.this,
            node.args.get("start") or exp.Literal.number(1),
            node.args.get("length"),
        ]
        return self._call("substring", [p for p in parts if p is not None], scope)

    def _position(self, node: exp.Expr, scope: Scope) -> Typed:
        return self._call("position", [node.args["substr"], node.this], scope)

    def _array(self, node: exp.Expr, scope: Scope) -> Typed:
        return self._call("array", node.expressions, scope)

    def _filtered(self, node: exp.Expr, scope: Scope) -> Typed:
        return self(node.this, scope)

    def _concatenated(self, node: exp.Expr, scope: Scope) -> Typed:
        """Literals side by side: ``'it''s'`` is one in Spark, as in standard SQL."""
        raise Unfit("texts side by side are joined by ||")

    def _window(self, node: exp.Expr, scope: Scope) -> Typed:
        del node, scope
        raise Unfit("a window function looks at other rows. Transforms are row-wise")

    def _subquery(self, node: exp.Expr, scope: Scope) -> Typed:
        del node, scope
        raise Unfit("a subquery may stand in FROM only")

    # ------------------------------------------------------------------------- for the tables

    def unified(self, values: Sequence[Typed]) -> list[Typed]:
        """The values, converted to the type that they have in common."""
        common = self.language.common(values)
        if common is None:
            return list(values)
        return [v if v.type == common else self.language.convert(v, common) for v in values]

    def as_bool(self, value: Typed) -> Typed:
        """A condition. Raises Unfit for a value that is not true, false or null."""
        return value if value.type == BOOL else self.language.convert(value, BOOL)

    def with_lambda(
        self, node: exp.Expr, types: Sequence[DType | None], scope: Scope
    ) -> tuple[list[str], Typed]:
        """The variables of a lambda, as they are spelled in DuckDB, and its value."""
        if not isinstance(node, exp.Lambda) or not 1 <= len(node.expressions) <= len(types):
            raise Unfit(f"it takes a function of up to {len(types)} arguments: x -> …")
        spelled, variables = [], {}
        for variable, kind in zip(node.expressions, types, strict=False):
            self._variables += 1
            name = f"λ{self._variables}"  # As no column of a source is called.
            spelled.append(name)
            variables[variable.name.lower()] = (name, kind)
        return spelled, self(node.this, scope.with_variables(variables))


def _check_parts(node: exp.Expr) -> None:
    """Raise Unfit if a node says more than what is looked at."""
    known = _PARTS.get(type(node), frozenset())
    if any(v and part not in known and part not in _COMMON for part, v in node.args.items()):
        raise Unfit


_SHAPES: Mapping[type[exp.Expr], Callable[[Translator, exp.Expr, Scope], Typed]] = {
    exp.Literal: Translator._literal,
    exp.RawString: Translator._raw,
    exp.Boolean: Translator._boolean,
    exp.Null: Translator._null,
    exp.Column: Translator._column,
    exp.Identifier: Translator._column,
    exp.Paren: Translator._paren,
    exp.Cast: Translator._cast,
    exp.TryCast: Translator._cast,
    exp.Case: Translator._case,
    exp.In: Translator._in,
    exp.Between: Translator._between,
    exp.Is: Translator._is,
    exp.Escape: Translator._escape,
    exp.Bracket: Translator._bracket,
    exp.Anonymous: Translator._function,
    exp.Extract: Translator._extract,
    exp.Trim: Translator._trim,
    exp.Substring: Translator._substring,
    exp.StrPosition: Translator._position,
    exp.Array: Translator._array,
    exp.Window: Translator._window,
    exp.Filter: Translator._filtered,
    exp.Concat: Translator._concatenated,
    exp.Subquery: Translator._subquery,
}
