"""Spark SQL as a language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from noskew.translation.intervals import written_time
from noskew.translation.language import TYPES, Language
from noskew.translation.parser_dialects import PlainSpark
from noskew.translation.rules import DialectFunction, Rule
from noskew.translation.spark import casts, conversions
from noskew.translation.spark.arrays import ARRAYS
from noskew.translation.spark.numbers import NUMBERS
from noskew.translation.spark.operators import OPERATORS
from noskew.translation.spark.refused import REFUSED
from noskew.translation.spark.strings import STRINGS
from noskew.translation.spark.times import TIMES
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
)
from noskew.types import DType

_D = exp.DataType.Type


def _casting(kind: DType) -> DialectFunction:
    """A type's name as a function: ``int(x)``."""

    def cast(value: Typed) -> exp.Expr:
        return casts.cast(value, kind).tree

    return DialectFunction((Rule.of(f"any -> {_NAMES[kind]}", cast),))


_NAMES = {
    BOOL: "bool",
    INTEGERS[0]: "int8",
    INTEGERS[1]: "int16",
    INT: "int",
    LONG: "long",
    FLOAT: "float",
    DOUBLE: "double",
    STRING: "string",
    DATE: "date",
    TIMESTAMP: "timestamp",
}
_SPELLED = {
    "boolean": BOOL,
    "tinyint": INTEGERS[0],
    "smallint": INTEGERS[1],
    "int": INT,
    "bigint": LONG,
    "float": FLOAT,
    "double": DOUBLE,
    "string": STRING,
    "date": DATE,
    "timestamp": TIMESTAMP,
}


class SparkLanguage(Language):
    """Spark SQL with ANSI mode off, and the session's time zone UTC.

    Spark 3 has it off, and an expression then has a value for every row. With ANSI mode on, one
    row that overflows or cannot be cast fails the batch that it is in.
    """

    title: ClassVar[str] = "Spark"
    reader: ClassVar[type[Dialect]] = PlainSpark
    functions: ClassVar[Mapping[str, DialectFunction]] = {
        **OPERATORS,
        **STRINGS,
        **NUMBERS,
        **TIMES,
        **ARRAYS,
        **{name: _casting(kind) for name, kind in _SPELLED.items()},
    }
    refused: ClassVar[Mapping[str, str]] = REFUSED
    types: ClassVar[Mapping[Any, DType]] = {
        **TYPES,
        _D.TINYINT: INTEGERS[0],
        _D.BINARY: BYTES,
        _D.VARBINARY: BYTES,
        _D.TIMESTAMPLTZ: TIMESTAMP,
    }
    decimal_digits: ClassVar[Sequence[int]] = (10,)

    def cast(self, value: Typed, to: DType) -> Typed:
        if isinstance(value.constant, str) and to in (DATE, TIMESTAMP):
            return written_time(value, to)
        return casts.cast(value, to)

    def convert(self, value: Typed, to: DType) -> Typed:
        return conversions.convert(value, to)

    def wider(self, kind: DType, value: Typed) -> DType:
        return conversions.wider(kind, value)
