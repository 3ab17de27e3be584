"""Expressions mean what they mean in DuckDB, which is asked itself, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noskew.definitions.expression_functions import CASTS, SIGNATURES, UNITS
from noskew.definitions.expression_tree import Node
from noskew.errors import TransformError
from noskew.kernel.expressions.program import FUNCTIONS, Program
from noskew.kernel.on_demand import Column
from tests.kernel.expressions_for_tests import (
    COLUMNS,
    ROWS,
    Judge,
    bound,
    compiled,
    differences,
    ours,
    same,
    table,
)

#: The library of C that DuckDB was built with may be another one than Python's.
_LIBM = frozenset(
    """
    cbrt exp ln log log2 log10 sin cos tan asin acos atan atan2 cot sinh cosh tanh asinh acosh atanh
    ** ^ pow power
    """.split()
)
#: Columns of a type, by its letter in signatures.
_COLUMNS = {
    "b": ("p", "q"),
    "i": ("k", "k2", "i"),
    "f": ("f", "g"),
    "d": ("x", "y"),
    "n": ("n", "m"),
    "s": ("s", "r"),
    "D": ("d", "e"),
    "t": ("t", "u"),
    "v": ("INTERVAL '1 day 3 seconds'",),
}
_TYPES = {
    "b": ("BOOLEAN",),
    "i": ("TINYINT", "INTEGER", "BIGINT"),
    "f": ("FLOAT",),
    "d": ("DOUBLE",),
    "n": ("DECIMAL(9, 1)", "DECIMAL(38, 10)"),
    "s": ("VARCHAR",),
    "D": ("DATE",),
    "t": ("TIMESTAMP", "TIMESTAMPTZ"),
}
_INFIX = {"and": "AND", "or": "OR", "~~": "LIKE", "!~~": "NOT LIKE"}
_SQL = {
    "not": "NOT {0}",
    "is null": "{0} IS NULL",
    "is not null": "{0} IS NOT NULL",
    "@": "@{0}",
    "position": "position({1} IN {0})",
    "in": "{0} IN ({1}, {2})",
    "not in": "{0} NOT IN ({1}, {2})",
}
#: What no signature says: constants, nesting, widths, and arguments that are hard.
_MORE = r"""
a+b
i-i
a*a
b*i
i*i
-a
abs(a)
a//2
i%3
k//nullif(k2,0)
k%nullif(k2,0)
k/k2
f/f
x//nullif(y,0)
f%f
f*f
f+x
x*1.5
f*1.5
k*1.5
i+1.25
n+1
n*n
m*m
n/2
n=1.25
floor(k)
ceil(m)
round(x,2)
round(x,1)
round(x,-1)
round(x,17)
round(x,-400)
round(x,400)
round(f,2)
round(f,-1)
round(k)
round(k,-1)
round(k,-2)
round(a,-1)
round(i,-10)
round(k,-19)
round(k,-20)
round(k,3)
round(k,a)
round(n,-1)
round(m,2)
round(m,5)
pi()*x
x=0
x<0
x<=0.5
x>1
x>=1.5
1<x
1>=x
0=x
'nan'::double = x
f>x
k>i
s<>'a'
t>='2020-01-01'
d=t::date
k is not distinct from null
p is true
p is not false
p and q and x>0
p or q or x>0
(p and x>1) or (q and y<1)
x in (1,2.5,y)
x not in (1,'nan'::double)
k in (1,2,null)
s in ('a','b',r)
x between 1 and y
x not between y and 2
k between k2 and 10
coalesce(x,y)
coalesce(x,y,0)
coalesce(s,r,'none')
coalesce(k,0)
coalesce(null,k)
nullif(x,y)
nullif(k,0)
nullif(s,'a')
nullif(x,0)
case when p then x when q then y else -1 end
case when p then x when q then y end
case k when 1 then 'one' when 2 then s end
case when k2 <> 0 then k//k2 end
case when k2 = 0 then 0 else k%k2 end
case when abs(x) < 100 then x::tinyint end
case when true then x else y end
case when false then x else y end
case when null then x else y end
case when x > 0 then case when y > 0 then 1 else 2 end else 3 end
coalesce(x, (1//0)::double)
coalesce(k, k2//0)
if(p,k,k2)
greatest(x,y)
least(x,y)
greatest(x,y,0)
least(x,y,1.5,f)
greatest(k,k2,i)
greatest(s,r)
least(s,r,'m')
greatest(t,u)
least(d,e)
greatest(p,q)
greatest(n,m)
x::smallint
i::smallint
a::bigint
a::varchar
try_cast(x as decimal(9,2))
k::decimal(18,2)
try_cast(k as decimal(18,2))
try_cast(k as decimal(38,2))
m::smallint
n::decimal(18,1)
m::decimal(9,2)
try_cast(n as decimal(5,2))
len(r)
s||'x'
concat(s,r,'!')
concat(s,k,p)
substring(s,2)
substring(s,2,3)
substring(s,0,2)
substring(s,-2,1)
substring(s,-2)
substring(s,a,b)
substring(s,i,-2)
left(s,2)
left(s,-1)
right(s,2)
right(s,-1)
left(s,a)
right(s,b)
trim(s,'a')
ltrim(s,'ab')
replace(s,'a','xy')
replace(s,'','xy')
replace(s,r,'-')
starts_with(s,'a')
ends_with(s,'c')
contains(s,'b')
s like 'a%'
s like '%c'
s like '%b%'
s like 'a_c'
s like '_'
s like ''
s like '%'
s not like 'a%'
s like 'a\%c'
strpos(s,'b')
position('c' in s)
epoch(interval 3 hour)
epoch(interval 14 month)
epoch(interval '-14 month')
datediff('month',d,e)
datediff('hour',d,e)
t + interval 1 day
t - interval 1 hour
t + interval 1 month
t - interval 1 month
t + interval '1 year 2 days 3 seconds'
interval 1 week + t
t + to_hours(i)
t + to_days(a)
t - to_minutes(k)
t + interval (a) hour
d + interval 1 month
d + 1
d + a
d - 5
t::timestamp < u::timestamp
date_diff('hour', t::timestamp, u::timestamp)
hour(t::timestamp)
date_trunc('day', t) = t
epoch(t::timestamp)
epoch(u - t)/3600
abs(x*sin(radians(y)))
x + null
1
'a'
true
1.5
p and null
null or q
null in (x)
substring(s,2,k)
epoch(interval '13 months 3 days 5 seconds')
t - interval '13 months 3 days 5 seconds'
d - interval '1 month'
t + interval '13 months 3 days 5 seconds'
t::timestamp - interval '13 months 3 days 5 seconds'
t::timestamp + interval '13 months 3 days 5 seconds'
d - interval '13 months 3 days 5 seconds'
t + interval '13 months -3 days 5 seconds'
t - interval '13 months -3 days 5 seconds'
t + interval '-13 months 3 days -5 seconds'
t - interval '-13 months 3 days -5 seconds'
t + interval '-13 months -3 days -5 seconds'
t::timestamp - interval '-13 months 3 days -5 seconds'
t::timestamp + interval '-13 months 3 days -5 seconds'
t + interval '0.5 seconds'
t - interval '-1 month'
t + interval '1 month 1 microsecond'
t + interval '1 month 1001 microsecond'
t - interval '1 month 1 microsecond'
t + interval '-1 month 1 day 1500 microsecond'
t + interval '1 month 1 day -1500 microsecond'
t::timestamp - interval '1 month 1 day -1500 microsecond'
log(2,x)
x**2
power(abs(x),0.5)
"""


def _calls() -> Iterator[str]:
    """An expression for each signature of each function, and for each unit of time."""
    for name, signatures in SIGNATURES.items():
        for signature in signatures.split() or [""]:
            if name in ("date_diff", "datediff", "date_trunc", "datetrunc"):
                units = UNITS if name.startswith("date_") else ("day", "week")
                yield from (_call(name, signature[1:], f"'{unit}'") for unit in units)
            elif name != "concat":
                yield _call(name, signature)


def _call(name: str, signature: str, *first: str) -> str:
    letters = signature.removesuffix("*")
    if signature.endswith("*"):
        letters += letters[-1] * (4 - len(letters) - len(first))
    used = {k: cycle(v) for k, v in _COLUMNS.items()}
    if name in ("round", "to_days") or "D" in letters:  # which take no wider integer
        used["i"] = cycle({"ii": ["k", "i"], "ni": ["1"]}.get(letters, ["i"]))
    arguments = [*first, *(next(used[k]) for k in letters)]
    if name in _SQL:
        return _SQL[name].format(*arguments)
    if name in _INFIX or not name.replace("_", "").isalnum():
        if len(arguments) == 1:
            return f"{name}{arguments[0]}"
        call = f"{arguments[0]} {_INFIX.get(name, name)} {arguments[1]}"
        return f"epoch({call})" if (name, letters) == ("-", "tt") else call
    call = f"{name}({', '.join(arguments)})"
    return f"t + {call}" if name.startswith("to_") else call


def _casts() -> Iterator[str]:
    for have, wanted in CASTS.items():
        for column in _COLUMNS[have]:
            for kind in (k for letter in wanted.split() for k in _TYPES[letter]):
                if have != "s":
                    yield f"CAST({column} AS {kind})"
                    yield f"TRY_CAST({column} AS {kind})"


EXPRESSIONS = list(dict.fromkeys([*_calls(), *_casts(), *_MORE.strip().splitlines()]))


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_gives_what_duckdb_gives(expression: str, judge: Judge) -> None:
    assert not differences(expression, judge, ulp=_ulp(bound(expression)))


def _ulp(tree: Node) -> int:
    return 1 if {node.op for node in tree.walk()} & _LIBM else 0


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_row_gives_the_same_alone_and_in_any_batch(expression: str) -> None:
    program, rows = compiled(bound(expression)), table(1)
    alone = [ours(program, rows.slice(j, 1)) for j in range(0, ROWS, 8)]
    good = [8 * j for j, values in enumerate(alone) if not isinstance(values, str)]
    one_by_one = [values[0] for values in alone if not isinstance(values, str)]
    for batch in (good, good[::-1], good[::2]):
        together = ours(program, rows.take(pa.array(batch, pa.int64()))) if batch else []
        wanted = [one_by_one[good.index(j)] for j in batch]
        assert not isinstance(together, str)
        assert all(map(same, together, wanted))


def test_with_its_optimizer_duckdb_gives_the_same_where_nothing_fails() -> None:
    optimizing, rows = Judge(optimizer=True), table()
    for expression in EXPRESSIONS[::7]:
        tree = bound(expression)
        mine, theirs = ours(compiled(tree), rows), optimizing.values(expression, rows)
        if not isinstance(mine, str) and not isinstance(theirs, str):
            assert all(same(a, b, _ulp(tree)) for a, b in zip(mine, theirs, strict=True)), (
                expression
            )


# --------------------------------------------------------------------------- composed ones

_LEAVES = {
    "d": ["x", "y", "0.5::double", "NULL::double", "k::double"],
    "i": ["k", "i", "3", "-1", "b"],
    "b": ["p", "q", "true", "NULL::bool"],
    "s": ["s", "r", "'a'"],
    "t": ["t", "u"],
}
_RULES = {
    "d": [
        "({d} + {d})",
        "({d} * {d})",
        "({d} / {d})",
        "abs({d})",
        "floor({d})",
        "round({d}, 1)",
        "CASE WHEN {b} THEN {d} WHEN {b} THEN {d} ELSE {d} END",
        "coalesce({d}, {d})",
        "greatest({d}, {d})",
        "nullif({d}, {d})",
        "sqrt({d})",
        "epoch({t})",
        "(- {d})",
        "CASE WHEN {b} THEN {d} END",
    ],
    "i": [
        "({i} + {i})",
        "({i} - {i})",
        "({i} % nullif({i}, 0))",
        "length({s})",
        "hour({t})",
        "CASE WHEN {b} THEN {i} ELSE {i} END",
        "coalesce({i}, {i})",
        "date_diff('day', {t}, {t})",
        "TRY_CAST({d} AS BIGINT)",
        "({i} // {i})",
        "least({i}, {i})",
    ],
    "b": [
        "({b} AND {b})",
        "({b} OR {b})",
        "(NOT {b})",
        "({d} < {d})",
        "({i} >= {i})",
        "({d} = {d})",
        "({s} LIKE {s})",
        "({i} IN ({i}, {i}))",
        "({d} IS NULL)",
        "({d} IS DISTINCT FROM {d})",
        "({t} > {t})",
        "({i} BETWEEN {i} AND {i})",
    ],
    "s": [
        "({s} || {s})",
        "upper({s})",
        "substring({s}, {i})",
        "coalesce({s}, {s})",
        "CASE WHEN {b} THEN {s} END",
        "concat({s}, {i})",
    ],
    "t": ["date_trunc('month', {t})", "coalesce({t}, {t})", "least({t}, {t})"],
}


@st.composite
def composed(draw: st.DrawFn, kind: str, depth: int = 3) -> str:
    """An expression of a type, made of others."""
    if not depth or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(_LEAVES[kind]))
    rule = draw(st.sampled_from(_RULES[kind]))
    pieces = [piece.partition("}") for piece in rule.split("{")]
    out = pieces[0][0]
    for letter, _, rest in pieces[1:]:
        out += draw(composed(letter, depth - 1)) + rest
    return out


@settings(max_examples=80, deadline=None)
@given(expression=st.sampled_from("dibst").flatmap(composed))
def test_what_is_composed_of_expressions_gives_what_duckdb_gives(expression: str) -> None:
    assert not differences(expression, Judge())


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.sampled_from("dibs").flatmap(composed), min_size=2, max_size=5))
def test_what_expressions_share_changes_none_of_them(texts: list[str]) -> None:
    trees, rows = [bound(text) for text in texts], table(2)
    alone = [ours(compiled(tree), rows) for tree in trees]
    sound = [
        (tree, values)
        for tree, values in zip(trees, alone, strict=True)
        if not isinstance(values, str)
    ]
    together = Program([(str(i), tree) for i, (tree, _) in enumerate(sound)])
    columns = [
        Column(COLUMNS[n], arrow=rows.column(n).combine_chunks()).pair() for n in together.columns
    ]
    for (values, valid), (_, wanted) in zip(together(columns, ROWS), sound, strict=True):
        known = [True] * ROWS if valid is None else valid.tolist()
        found = [v if ok else None for v, ok in zip(values.tolist(), known, strict=True)]
        assert all(map(same, found, wanted))


# -------------------------------------------------------------------------------- the rest


def test_every_function_that_is_offered_is_there_and_every_other_is_not() -> None:
    assert set(FUNCTIONS) - set(SIGNATURES) == {"cast", "try_cast", "case"}
    assert not set(SIGNATURES) - set(FUNCTIONS)


def test_every_letter_is_changed_as_duckdb_changes_it(judge: Judge) -> None:
    letters = [chr(i) for i in range(1, 0x110000) if not 0xD800 <= i < 0xE000]
    rows = pa.table({"s": [f"é{letter}" for letter in letters]})
    for expression in ("lower(s)", "upper(s)", "rtrim(s)"):
        assert ours(compiled(bound(expression)), rows) == judge.values(expression, rows)


def test_what_fails_says_which_output_and_why() -> None:
    rows = pa.table({"k": pa.array([9223372036854775807])})
    program = Program([("on-demand 'sum', output 'more'", bound("k + 1"))])
    with pytest.raises(TransformError, match="output 'more': overflow in addition of int64"):
        program([Column(COLUMNS["k"], arrow=rows.column("k").combine_chunks()).pair()], 1)


def test_a_part_that_expressions_share_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from noskew.kernel.expressions import arithmetic, program, values

    calls: list[int] = []

    def counted(node: Node) -> values.ExpressionFunction:
        del node
        return values.Strict(lambda a: (calls.append(1), np.abs(a))[1])

    monkeypatch.setitem(program.FUNCTIONS, "abs", counted)
    made = Program([("a", bound("abs(x) + 1")), ("b", bound("abs(x) * abs(x)"))])
    ((first, _), (second, _)) = made([(np.array([-2.0, 3.0]), None)], 2)
    assert (first.tolist(), second.tolist(), len(calls)) == ([3.0, 4.0], [4.0, 9.0], 1)
    assert arithmetic.FUNCTIONS["abs"] is not counted
