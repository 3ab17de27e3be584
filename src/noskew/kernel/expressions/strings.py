"""Functions of texts. Characters are code points, and texts are ordered by them, as in DuckDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from noskew.definitions.expression_tree import Node
from noskew.definitions.sql_engine import one_row
from noskew.kernel.arrays import Mask
from noskew.kernel.expressions.values import (
    Array,
    Checked,
    Evaluate,
    ExpressionFunction,
    Pair,
    Special,
    Strict,
    bad_or_none,
)

#: What TRIM removes if it is not told: the separators of Unicode, not tabs and line ends.
_SPACES = " \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"


def _texts(function: Callable[..., str], arguments: int) -> Callable[[Node], ExpressionFunction]:
    """A function of texts and integers that gives a text."""
    each = np.frompyfunc(function, arguments, 1)
    return lambda node: Strict(lambda *v: np.asarray(each(*v), object))


def _bools(function: Callable[..., bool], arguments: int) -> Callable[[Node], ExpressionFunction]:
    each = np.frompyfunc(function, arguments, 1)
    return lambda node: Strict(lambda *v: np.asarray(each(*v), bool))


def _numbers(function: Callable[..., int], arguments: int) -> Callable[[Node], ExpressionFunction]:
    each = np.frompyfunc(function, arguments, 1)
    return lambda node: Strict(lambda *v: np.asarray(each(*v), np.int64))


def _in_case(name: str) -> Callable[[Node], ExpressionFunction]:
    plain = str.lower if name == "lower" else str.upper

    def make(node: Node) -> ExpressionFunction:
        del node
        table = _letters(name)
        each = np.frompyfunc(lambda s: plain(s) if s.isascii() else s.translate(table), 1, 1)
        return Strict(lambda v: np.asarray(each(v), object))

    return make


#: What stands between the two ranges are halves of letters; after them no letter has a case.
_POINTS = "SELECT chr(unnest(range(1, 55296) || range(57344, 131072))::INT) AS c"
_CHANGED = {
    "lower": f"SELECT list(c), list(lower(c)) FROM ({_POINTS}) WHERE lower(c) <> c",
    "upper": f"SELECT list(c), list(upper(c)) FROM ({_POINTS}) WHERE upper(c) <> c",
}


@lru_cache(maxsize=2)
def _letters(name: str) -> Mapping[int, str]:
    """The letters that DuckDB changes, and what it makes of each.

    Python's tables are those of its release, and change one letter into several.
    """
    letters, changed = one_row(_CHANGED[name])
    return {ord(a): b for a, b in zip(letters, changed, strict=True)}


def _substring(s: str, start: int, length: int | None = None) -> str:
    """From ``start``, counted from 1, or from the end if negative."""
    size = len(s)
    first = start - 1 if start > 0 else size + start if start < 0 else 0
    if start == 0 and length is not None and length > 0:
        length -= 1
    if length is None:
        return s[max(0, first) :]
    end = first + length
    if length < 0:
        first, end = end, first
    return s[max(0, first) : max(0, end)]


def _far(*arguments: Array) -> tuple[Mask | None, str]:
    """Which places are refused: they must fit in 32 bits, without or with a sign."""
    bad = bad_or_none(
        np.logical_or.reduce(
            np.broadcast_arrays(*[(a < -(2**32)) | (a > 2**32 - 1) for a in arguments])
        )
    )
    return bad, "a place in a text is out of range"


def _with_places(function: Callable[..., str]) -> Callable[[Node], ExpressionFunction]:
    """A function of a text and of places in it."""

    def make(node: Node) -> ExpressionFunction:
        each = np.frompyfunc(function, len(node.children), 1)
        return Checked(lambda s, *places: (np.asarray(each(s, *places), object), *_far(*places)))

    return make


def _left(s: str, n: int) -> str:
    return s[:n] if n >= 0 else s[: max(0, len(s) + n)]


def _first_letters(node: Node) -> ExpressionFunction:
    del node
    each = np.frompyfunc(_left, 2, 1)
    why = "a place in a text is out of range"
    return Checked(lambda s, n: (np.asarray(each(s, n), object), bad_or_none(n > 2**32 - 1), why))


def _right(s: str, n: int) -> str:
    if n >= 0:
        return s[max(0, len(s) - n) :]
    return s[min(len(s), -n) :]


def _trim(side: str) -> Callable[[Node], ExpressionFunction]:
    strip: Callable[..., str] = getattr(str, side)
    spaces = _texts(lambda s: strip(s, _SPACES), 1)
    given = _texts(lambda s, chars: strip(s, chars) if chars else s, 2)
    return lambda node: (spaces if len(node.children) == 1 else given)(node)


def _replace(s: str, old: str, new: str) -> str:
    return s.replace(old, new) if old else s


def _like(node: Node) -> ExpressionFunction:
    negated, pattern = node.op == "!~~", node.children[1]
    if pattern.op == "constant" and pattern.value is not None:
        match = _pattern(pattern.value)
        each = np.frompyfunc(lambda s, _: (match(s) is None) is negated, 2, 1)
    else:
        each = np.frompyfunc(lambda s, p: (_pattern(p)(s) is None) is negated, 2, 1)
    return Strict(lambda s, p: np.asarray(each(s, p), bool))


@lru_cache(maxsize=1_024)
def _pattern(text: str) -> Callable[[str], Any]:
    """``%`` is any text and ``_`` any character; there is no escape unless one is given."""
    words = {"%": ".*", "_": "."}
    return re.compile("".join(words.get(c) or re.escape(c) for c in text), re.DOTALL).fullmatch


def _concat(node: Node) -> ExpressionFunction:
    """``concat``: nulls are left out."""
    del node
    join = np.frompyfunc(lambda a, b: a + b, 2, 1)

    def make(parts: list[Evaluate]) -> Evaluate:
        def run(env: list[Any]) -> Pair:
            joined = np.array("", object)
            for part in parts:
                y, there = part(env)
                text = y if there is None else np.where(there, y, "")
                joined = np.asarray(join(joined, text), object)
            return joined, None

        return run

    return Special(make)


FUNCTIONS: Mapping[str, Callable[[Node], ExpressionFunction]] = {
    **dict.fromkeys(("lower", "lcase"), _in_case("lower")),
    **dict.fromkeys(("upper", "ucase"), _in_case("upper")),
    **dict.fromkeys(("length", "len", "char_length", "character_length"), _numbers(len, 1)),
    "||": _texts(lambda a, b: a + b, 2),
    "concat": _concat,
    **dict.fromkeys(("substring", "substr"), _with_places(_substring)),
    "left": _first_letters,
    "right": _texts(_right, 2),
    "trim": _trim("strip"),
    "ltrim": _trim("lstrip"),
    "rtrim": _trim("rstrip"),
    "replace": _texts(_replace, 3),
    **dict.fromkeys(("starts_with", "^@", "prefix"), _bools(str.startswith, 2)),
    **dict.fromkeys(("ends_with", "suffix"), _bools(str.endswith, 2)),
    "contains": _bools(lambda s, part: part in s, 2),
    **dict.fromkeys(("~~", "!~~"), _like),
    **dict.fromkeys(("strpos", "position", "instr"), _numbers(lambda s, part: s.find(part) + 1, 2)),
}
