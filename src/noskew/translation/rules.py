"""Rules: what a function of a dialect means in DuckDB, by the types of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from noskew.translation.typed import (
    BOOL,
    BYTES,
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
    fill,
    is_numeric,
    list_of,
)
from noskew.types import DType

_NAMED = {
    "bool": BOOL,
    "int": INT,
    "long": LONG,
    "float": FLOAT,
    "double": DOUBLE,
    "string": STRING,
    "bytes": BYTES,
    "date": DATE,
    "timestamp": TIMESTAMP,
    "int8": INTEGERS[0],
    "int16": INTEGERS[1],
    "list<string>": list_of(STRING),
    "list<long>": list_of(LONG),
    "list<int>": list_of(INT),
}
#: A template, or what makes a tree (or a template) of the arguments.
Meaning = str | Callable[..., exp.Expr | str]


@dataclass(frozen=True)
class Rule:
    """One signature, and its meaning in DuckDB.

    ``takes``: a type for each argument. ``name!``: a literal of it. ``item``, ``list``: any list
    and an item of it. ``integer``, ``fraction`` (a float), ``decimal``, ``any``: whatever is
    given, as it is. ``same``: all such arguments become one type. A last ``…`` repeats the one
    before it. ``gives``: a type; or ``item``, ``list``, ``same``, or ``1`` for the type of the
    first argument.
    """

    takes: tuple[str, ...]
    gives: str
    meaning: Meaning

    @classmethod
    def of(cls, signature: str, meaning: Meaning) -> Rule:
        """A rule from ``"string, int -> string"``."""
        takes, _, gives = signature.partition("->")
        names = tuple(n.strip() for n in takes.split(",") if n.strip())
        return cls(names, gives.strip(), meaning)

    def patterns(self, count: int) -> tuple[str, ...] | None:
        """The pattern of each of ``count`` arguments; None if it does not take so many."""
        if self.takes and self.takes[-1] == "…":
            fixed = self.takes[:-1]
            more = count - len(fixed)
            return fixed + fixed[-1:] * more if more >= 0 else None
        return self.takes if len(self.takes) == count else None


@dataclass(frozen=True)
class DialectFunction:
    """What is known of a function of a dialect.

    ``note`` says what had to be repaired or restricted; without one it means the same in DuckDB.
    ``close``: the last bit of its result may differ from that of the dialect's own engine.
    ``special``: makes the value of unevaluated arguments itself, where types do not decide.
    """

    rules: tuple[Rule, ...] = ()
    note: str = ""
    close: bool = False
    special: Callable[..., Typed] | None = field(default=None, compare=False)


def same(*rules: tuple[str, Meaning]) -> DialectFunction:
    """A function that means the same in DuckDB, but for names and types."""
    return DialectFunction(tuple(Rule.of(*r) for r in rules))


def repaired(note: str, *rules: tuple[str, Meaning]) -> DialectFunction:
    """A function whose equivalent in DuckDB gives other values, and what makes up for it."""
    return DialectFunction(tuple(Rule.of(*r) for r in rules), note)


def close(note: str, *rules: tuple[str, Meaning]) -> DialectFunction:
    """A function whose result may differ in the last bit from that of the dialect's engine."""
    return DialectFunction(tuple(Rule.of(*r) for r in rules), note, close=True)


def special(note: str, function: Callable[..., Typed]) -> DialectFunction:
    """A function that translates its arguments itself; see :class:`DialectFunction`."""
    return DialectFunction((), note, special=function)


#: Converts an argument to a type by the dialect's implicit rules; raises Unfit where it has none.
Converter = Callable[[Typed, DType], Typed]
#: The type that several values become when they meet; raises Unfit.
Common = Callable[[Sequence[Typed]], DType | None]


def apply_rules(
    function: DialectFunction, arguments: Sequence[Typed], convert: Converter, common: Common
) -> Typed:
    """The value of a call: by the first rule that fits without conversions, else with them.

    Raises Unfit if there is none, with the reason of the last that might have.
    """
    reasons = []
    for strict in (True, False):
        for rule in function.rules:
            try:
                given, bound = _taken(rule, arguments, convert, common, strict=strict)
            except Unfit as unfit:
                if str(unfit):
                    reasons.append(str(unfit))
            else:
                return _made(rule, given, bound)
    raise Unfit(reasons[-1] if reasons else "")


def _taken(
    rule: Rule, arguments: Sequence[Typed], convert: Converter, common: Common, *, strict: bool
) -> tuple[list[Typed], dict[str, DType | None]]:
    """The arguments as a rule takes them. Raises Unfit."""
    patterns = rule.patterns(len(arguments))
    if patterns is None:
        raise Unfit
    bound = _bound(patterns, arguments, common)
    given = []
    for pattern, argument in zip(patterns, arguments, strict=True):
        wanted = _wanted(pattern, bound)
        if wanted is None or argument.type == wanted:
            given.append(argument)
        elif pattern.endswith("!"):
            raise Unfit
        elif argument.type is None or not strict or _widens(argument.type, wanted):
            given.append(convert(argument, wanted))
        else:
            raise Unfit
    return given, bound


def _made(rule: Rule, given: Sequence[Typed], bound: dict[str, DType | None]) -> Typed:
    meaning: exp.Expr | str
    if isinstance(rule.meaning, str):
        meaning = rule.meaning
    else:
        patterns = rule.patterns(len(given)) or ()
        meaning = rule.meaning(
            *(a.constant if p.endswith("!") else a for p, a in zip(patterns, given, strict=True))
        )
    tree = fill(meaning, *(a.tree for a in given)) if isinstance(meaning, str) else meaning
    return Typed(tree, _result(rule.gives, given, bound))


def _bound(
    patterns: Sequence[str], arguments: Sequence[Typed], common: Common
) -> dict[str, DType | None]:
    """The types that the variables of a signature stand for. Raises Unfit."""
    bound: dict[str, DType | None] = {}
    groups: dict[str, list[Typed]] = {"same": [], "item": []}
    for pattern, argument in zip(patterns, arguments, strict=True):
        kind = argument.type
        if pattern.endswith("!") and argument.constant is None:
            raise Unfit("an argument must be a literal, since its value decides what runs")
        if pattern in groups:
            groups[pattern].append(argument)
        elif pattern == "list":
            if kind is None or kind.item is None:
                raise Unfit
            groups["item"].append(Typed(exp.Null(), kind.item))
        elif (pattern in _CLASSES and kind is not None and not _CLASSES[pattern](kind)) or (
            pattern in _CLASSES and kind is None and pattern != "any"
        ):
            raise Unfit
    for name, members in groups.items():
        if members:
            bound[name] = common(members)
    if bound.get("item") is not None:
        bound["list"] = list_of(bound["item"])  # type: ignore[arg-type]
    return bound


_CLASSES: dict[str, Callable[[DType], bool]] = {
    "any": lambda _: True,
    "integer": lambda kind: kind.is_integer,
    "fraction": lambda kind: kind.is_float,
    "decimal": lambda kind: kind.kind == "decimal",
    "number": is_numeric,
}


def _wanted(pattern: str, bound: dict[str, DType | None]) -> DType | None:
    if pattern in bound:
        return bound[pattern]
    return None if pattern in _CLASSES else _NAMED.get(pattern.removesuffix("!"))


def _widens(kind: DType, wanted: DType) -> bool:
    """Whether one kind of integer becomes a wider one."""
    if kind.is_integer and wanted.is_integer:
        return INTEGERS.index(kind) <= INTEGERS.index(wanted)
    return kind == FLOAT and wanted == DOUBLE


def _result(gives: str, given: Sequence[Typed], bound: dict[str, Any]) -> DType | None:
    if gives in bound:
        kind: DType | None = bound[gives]
        return kind
    if gives.isdigit():
        return given[int(gives) - 1].type
    return _NAMED[gives]
