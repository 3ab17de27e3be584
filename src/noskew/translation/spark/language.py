"""Spark SQL as a language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from noskew.translation.language import Language
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
    Unfit,
    decimal,
    list_of,
)
from noskew.types import DType

_D = exp.DataType.Type
_TYPES: Mapping[Any, DType] = {
    _D.BOOLEAN: BOOL,
    _D.TINYINT: INTEGERS[0],
    _D.SMALLINT: INTEGERS[1],
    _D.INT: INT,
    _D.BIGINT: LONG,
    _D.FLOAT: FLOAT,
    _D.DOUBLE: DOUBLE,
    _D.TEXT: STRING,
    _D.VARCHAR: STRING,
    _D.BINARY: BYTES,
    _D.VARBINARY: BYTES,
    _D.DATE: DATE,
    _D.TIMESTAMP: TIMESTAMP,
    _D.TIMESTAMPTZ: TIMESTAMP,
    _D.TIMESTAMPLTZ: TIMESTAMP,
}


def _casting(kind: DType) -> DialectFunction:
    """A type's name as a function: ``int(x)``."""

    def made(value: Typed) -> exp.Expr:
        return casts.cast(value, kind).tree

    return DialectFunction((Rule.of(f"any -> {_NAMES[kind]}", made),))


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

    def cast(self, value: Typed, to: DType) -> Typed:
        if isinstance(value.constant, str) and to in (DATE, TIMESTAMP):
            return conversions.as_time(value, to)
        return casts.cast(value, to)

    def convert(self, value: Typed, to: DType) -> Typed:
        return conversions.convert(value, to)

    def common(self, values: Sequence[Typed]) -> DType | None:
        return conversions.common(values)

    def comparable(self, values: Sequence[Typed]) -> list[Typed]:
        return conversions.comparable(values)

    def type_of(self, written: exp.DataType) -> DType:
        kind = written.this
        if kind == _D.DECIMAL:
            digits = [int(str(e.this)) for e in written.expressions] or [10]
            return decimal(digits[0], digits[1] if len(digits) > 1 else 0)
        if kind == _D.ARRAY and len(written.expressions) == 1:
            return list_of(self.type_of(written.expressions[0]))
        if kind not in _TYPES or written.expressions:
            raise Unfit(f"{written.sql(self.reader)} is no type that columns have here")
        return _TYPES[kind]
