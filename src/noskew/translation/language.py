"""What a dialect is, as far as its expressions go: tables, and how its types convert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from noskew.translation.intervals import written_time
from noskew.translation.rules import DialectFunction
from noskew.translation.typed import (
    BOOL,
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
#: Types as every dialect writes them.
TYPES: Mapping[Any, DType] = {
    _D.BOOLEAN: BOOL,
    _D.SMALLINT: INTEGERS[1],
    _D.INT: INT,
    _D.BIGINT: LONG,
    _D.FLOAT: FLOAT,
    _D.DOUBLE: DOUBLE,
    _D.TEXT: STRING,
    _D.VARCHAR: STRING,
    _D.DATE: DATE,
    _D.TIMESTAMP: TIMESTAMP,
    _D.TIMESTAMPTZ: TIMESTAMP,
}


class Language:
    """The meaning of a dialect's expressions. Operators are functions named by their sign."""

    #: Its name, for people.
    title: ClassVar[str]
    reader: ClassVar[type[Dialect]]
    functions: ClassVar[Mapping[str, DialectFunction]]
    #: Why a function is refused, where that is known.
    refused: ClassVar[Mapping[str, str]]
    #: The function that ``extract(field FROM time)`` is.
    extract: ClassVar[str] = "date_part"
    #: Whether ``1e3`` is a decimal, and not a float.
    has_decimal_exponents: ClassVar[bool] = False
    #: The types that a cast may name.
    types: ClassVar[Mapping[Any, DType]] = TYPES
    #: Those that may have parameters, such as a precision, which change no value.
    with_parameters: ClassVar[frozenset[Any]] = frozenset()
    #: Precision and scale of a decimal without digits; it is refused if empty.
    decimal_digits: ClassVar[Sequence[int]] = ()

    def column(self, value: Typed) -> Typed:
        """A column, as the type that it has in this language."""
        return value

    def cast(self, value: Typed, to: DType) -> Typed:
        """An explicit cast. Raises Unfit where its meaning is not known."""
        raise NotImplementedError

    def convert(self, value: Typed, to: DType) -> Typed:
        """An implicit conversion of an argument. Raises Unfit where there is none."""
        raise NotImplementedError

    def common(self, values: Sequence[Typed]) -> DType | None:
        """The type that values become which meet in one place: branches, items, sides of ``=``.

        None if all are NULL. Raises Unfit where there is none.
        """
        kind: DType | None = None
        for value in values:
            if kind is None or value.type is None or value.type == kind:
                kind = kind or value.type
            else:
                kind = self.wider(kind, value)
        return kind

    def wider(self, kind: DType, value: Typed) -> DType:
        """The type in common of values of a type and of one value of another. Raises Unfit."""
        raise NotImplementedError

    def comparable(self, values: Sequence[Typed]) -> list[Typed]:
        """Both sides of a comparison, as one type. Raises Unfit."""
        kinds = {v.type for v in values}
        for time in (DATE, TIMESTAMP):
            if kinds == {time, STRING}:
                return [written_time(v, time) if v.type == STRING else v for v in values]
        if any(k is not None and k.item is not None for k in kinds):
            raise Unfit("arrays are not compared here")
        kind = self.common(values)
        return [v if kind is None or v.type == kind else self.convert(v, kind) for v in values]

    def type_of(self, written: exp.DataType) -> DType:
        """A type as it is written in a cast. Raises Unfit for one that noskew does not have."""
        kind = written.this
        if kind == _D.DECIMAL:
            digits = [int(str(e.this)) for e in written.expressions] or self.decimal_digits
            if not digits:
                raise Unfit("numeric needs its digits here: numeric(18, 2)")
            return decimal(digits[0], digits[1] if len(digits) > 1 else 0)
        if kind == _D.ARRAY and len(written.expressions) == 1:
            return list_of(self.type_of(written.expressions[0]))
        if kind not in self.types or (written.expressions and kind not in self.with_parameters):
            raise Unfit(f"{written.sql(self.reader)} is no type that columns have here")
        return self.types[kind]
