"""What expressions may be made of: the functions of DuckDB that noskew computes itself.

A call of DuckDB takes too long for a request, so the kernel computes expressions itself. It has
the functions listed here, each tested against DuckDB; an expression with any other function is
refused when it is defined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from noskew.definitions.expression_tree import Node, SqlType
from noskew.errors import TransformError, nearest

#: Types by the letter that stands for them in signatures.
_LETTERS: Mapping[str, str] = {
    "BOOLEAN": "b",
    "TINYINT": "i",
    "SMALLINT": "i",
    "INTEGER": "i",
    "BIGINT": "i",
    "FLOAT": "f",
    "DOUBLE": "d",
    "DECIMAL": "n",
    "VARCHAR": "s",
    "DATE": "D",
    "TIMESTAMP": "t",
    "TIMESTAMP WITH TIME ZONE": "t",
    "INTERVAL": "v",
}
_ANY = "b i f d n s D t"
_PAIRS = "bb ii ff dd nn ss DD tt"
_OF_DOUBLE = (
    "sqrt cbrt exp ln log log2 log10 sin cos tan asin acos atan cot sinh cosh tanh asinh acosh "
    "atanh radians degrees"
)
#: Parts of a time, as functions (``hour(t)``) and in ``extract``.
PARTS = (
    "year month day quarter week dayofweek weekday isodow dayofyear hour minute second millisecond "
    "microsecond"
)
_DATE_PARTS = "year month day quarter week dayofweek weekday isodow dayofyear"


def _table() -> dict[str, str]:
    """For each function its signatures: a letter an argument; ``*``: any number of the last."""
    signatures = {
        "+": "ii ff dd nn tv vt Dv vD Di iD",
        "-": "i f d n ii ff dd nn tv Dv tt Di DD",
        "*": "ii ff dd nn",
        "/": "ff dd",
        "//": "ii ff dd",
        "%": "ii ff dd",
        **dict.fromkeys(("**", "^", "pow", "power", "atan2"), "dd"),
        "abs": "i f d n",
        "@": "i f d n",
        "sign": "i f d n",
        "pi": "",
        "floor": "f d n",
        "ceil": "f d n",
        "ceiling": "f d n",
        "trunc": "f d i n",
        "round": "i f d n ii fi di ni",
        **dict.fromkeys(_OF_DOUBLE.split(), "d"),
        "log": "d dd",
        **dict.fromkeys(("isnan", "isinf", "isfinite"), "f d"),
        **dict.fromkeys(("greatest", "least"), " ".join(f"{k}*" for k in _ANY.split())),
        **dict.fromkeys(("=", "!=", "<", "<=", ">", ">="), _PAIRS),
        **dict.fromkeys(("IS DISTINCT FROM", "IS NOT DISTINCT FROM"), _PAIRS),
        **dict.fromkeys(("in", "not in"), " ".join(f"{k}{k}*" for k in _ANY.split())),
        **dict.fromkeys(("and", "or"), "b*"),
        "not": "b",
        **dict.fromkeys(("is null", "is not null"), _ANY),
        "coalesce": " ".join(f"{k}*" for k in _ANY.split()),
        **dict.fromkeys(("lower", "lcase", "upper", "ucase"), "s"),
        **dict.fromkeys(("length", "len", "char_length", "character_length"), "s"),
        "||": "ss",
        "concat": "s*",
        **dict.fromkeys(("substring", "substr"), "si sii"),
        "left": "si",
        "right": "si",
        **dict.fromkeys(("trim", "ltrim", "rtrim"), "s ss"),
        "replace": "sss",
        **dict.fromkeys(("starts_with", "^@", "prefix", "ends_with", "suffix", "contains"), "ss"),
        **dict.fromkeys(("~~", "!~~"), "ss"),
        **dict.fromkeys(("strpos", "position", "instr"), "ss"),
        **dict.fromkeys(PARTS.split(), "t"),
        **dict.fromkeys(_DATE_PARTS.split(), "t D"),
        "epoch": "t D v",
        "epoch_ms": "t",
        "epoch_us": "t",
        **dict.fromkeys(("date_diff", "datediff"), "stt sDD"),
        **dict.fromkeys(("date_trunc", "datetrunc"), "st sD"),
        **dict.fromkeys(("to_days", "to_hours", "to_minutes"), "i"),
    }
    return signatures


SIGNATURES: Mapping[str, str] = _table()
#: Casts: from a type to those it may become.
CASTS: Mapping[str, str] = {
    "b": "i f d s",
    "i": "b i f d n s",
    "f": "b i d",
    "d": "b i f n",
    "n": "b i f d n",
    "s": "",
    "D": "t",
    "t": "D t",
}
#: Words for the unit of a ``date_diff`` or ``date_trunc``, and the part each means.
UNITS: Mapping[str, str] = {
    word: part
    for part, words in {
        "year": "year yr y years yrs",
        "quarter": "quarter quarters",
        "month": "month mon months mons",
        "week": "week weeks w",
        "day": "day days d dayofmonth",
        "hour": "hour hr hours hrs h",
        "minute": "minute min minutes mins m",
        "second": "second sec seconds secs s",
        "millisecond": "millisecond milliseconds ms msec msecs msecond mseconds",
        "microsecond": "microsecond microseconds us usec usecs usecond useconds",
    }.items()
    for word in words.split()
}
_WITH_UNIT = frozenset({"date_diff", "datediff", "date_trunc", "datetrunc"})
_INSTEAD = (
    "write it as a Python function (a NumPy one, or ns.per_row), or compute it in the transform "
    "of the view"
)


def check(node: Node, what: str) -> None:
    """Raise TransformError, naming the function, if any part of a tree cannot be computed."""
    for part in node.walk():
        _check_type(part.type, what)
        if part.op in ("cast", "try_cast"):
            _check_cast(part, what)
        elif part.op == "case" and part.type.name == "INTERVAL":
            raise TransformError(f"{what}: a CASE of intervals is not computed; {_INSTEAD}")
        elif part.op not in ("column", "constant", "case"):
            _check_call(part, what)


def _check_type(kind: SqlType, what: str) -> None:
    if kind.name not in _LETTERS:
        raise TransformError(
            f"{what}: values of the type {kind} are not computed in expressions; {_INSTEAD}"
        )


def _check_cast(node: Node, what: str) -> None:
    have, want = node.children[0].type, node.type
    if _LETTERS[want.name] not in CASTS.get(_LETTERS[have.name], ""):
        raise TransformError(
            f"{what}: a cast from {have} to {want} is not computed in expressions; {_INSTEAD}"
        )


def _check_call(node: Node, what: str) -> None:
    known = SIGNATURES.get(node.op)
    if known is None:
        raise TransformError(
            f"{what}: {node.op}() is not computed in expressions; {_INSTEAD}. "
            f"Functions: {nearest(node.op, [n for n in SIGNATURES if n.isidentifier()])}"
        )
    letters = "".join(_LETTERS[c.type.name] for c in node.children)
    if not any(_fits(letters, signature) for signature in known.split() or [""]):
        raise TransformError(f"{what}: {node} is not computed in expressions; {_INSTEAD}")
    if node.op in _WITH_UNIT:
        _check_unit(node, what)
    if letters == "ni" and (node.children[1].op != "constant" or node.children[1].value is None):
        raise TransformError(f"{what}: round of a decimal needs its digits written as a number")


def _check_unit(node: Node, what: str) -> None:
    unit = node.children[0]
    if unit.op != "constant" or str(unit.value).lower() not in UNITS:
        raise TransformError(
            f"{what}: {node.op} needs one of the units {', '.join(_units())}, written out; "
            f"got {unit.value!r}"
        )


def _units() -> Iterable[str]:
    return dict.fromkeys(UNITS.values())


def _fits(letters: str, signature: str) -> bool:
    if not signature.endswith("*"):
        return letters == signature
    first, last = signature[:-1], signature[-2]
    return letters.startswith(first) and set(letters[len(first) :]) <= {last}
