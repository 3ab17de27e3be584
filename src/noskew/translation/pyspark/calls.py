"""What stands for ``pyspark.sql.functions``: calls, written down as they are made.

sqlframe's own functions turn each call into what they take for its equivalent elsewhere. These
keep its name and its arguments; what it means is decided where Spark SQL is translated.
"""

from __future__ import annotations

import datetime
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from noskew.errors import TransformError

if TYPE_CHECKING:
    from sqlframe.base.column import Column
    from sqlglot import exp

#: Places of arguments that are values where they are texts. A text elsewhere names a column.
_VALUES: Mapping[str, tuple[int, ...]] = {
    "array_append": (1,),
    "array_contains": (1,),
    "array_join": (1, 2),
    "array_position": (1,),
    "array_prepend": (1,),
    "array_remove": (1,),
    "concat_ws": (0,),
    "date_format": (1,),
    "date_trunc": (0,),
    "from_unixtime": (1,),
    "from_utc_timestamp": (1,),
    "instr": (1,),
    "locate": (0,),
    "lpad": (2,),
    "next_day": (1,),
    "regexp_extract": (1,),
    "regexp_replace": (1, 2),
    "rpad": (2,),
    "split": (1,),
    "substring_index": (1,),
    "to_date": (1,),
    "to_timestamp": (1,),
    "to_utc_timestamp": (1,),
    "translate": (1, 2),
    "trunc": (1,),
    "unix_timestamp": (1,),
    "element_at": (1,),
}
_OTHER_NAMES: Mapping[str, str] = {
    "bitwisenot": "bitwise_not",
    "todegrees": "degrees",
    "toradians": "radians",
    "negate": "negative",
}
#: Those of sqlframe that are no function of Spark SQL.
_KEPT = frozenset(
    """
    asc asc_nulls_first asc_nulls_last col column desc desc_nulls_first desc_nulls_last expr when
    """.split()
)
_PYTHON = frozenset("udf pandas_udf arrow_udf udtf call_udf call_function".split())


class PySparkFunctions:
    """``pyspark.sql.functions``: each attribute is a function that gives a column."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in _KEPT:
            return getattr(_sqlframe(), name)
        if name in _PYTHON:
            raise TransformError(
                f"{name} of PySpark runs Python code on single values, which a query cannot "
                f"describe; write it with functions of columns, or as ns.pandas, ns.polars or "
                f"ns.arrow"
            )
        if name == "lit":
            return literal
        return _Function(name)


class _Function:
    """One function of PySpark. Calling it gives a column that says so."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *arguments: Any, **named: Any) -> Column:
        from sqlframe.base.column import Column
        from sqlglot import exp

        name = self.__name__.lower()
        name = _OTHER_NAMES.get(name, name)
        if named:
            arguments = self._in_order(arguments, named)
        if len(arguments) == 1 and isinstance(arguments[0], (list, tuple)):
            arguments = tuple(arguments[0])
        while arguments and arguments[-1] is None:
            arguments = arguments[:-1]
        if name in ("ltrim", "rtrim", "trim") and len(arguments) == 2:
            raise TransformError(f'F.{name} with characters: write F.expr("{name}(…)")')
        trees = [
            _argument(value, at in _VALUES.get(name, ())) for at, value in enumerate(arguments)
        ]
        if name == "bitwise_not":
            return Column(exp.BitwiseNot(this=exp.paren(trees[0])))
        return Column(exp.Anonymous(this=name, expressions=trees))

    def _in_order(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        like = getattr(_sqlframe(), self.__name__, None)
        if like is None:
            raise TransformError(f"F.{self.__name__}: give its arguments in order, without names")
        signature = inspect.signature(inspect.unwrap(like))
        try:
            bound = signature.bind(*arguments, **named)
        except TypeError as error:
            raise TransformError(f"F.{self.__name__}: {error}") from error
        return bound.args


def literal(value: Any) -> Column:
    """``lit``: a column that is the same in every row. Raises TransformError for a local time."""
    from sqlframe.base.column import Column
    from sqlglot import exp

    if isinstance(value, Column):
        return value
    if isinstance(value, float):
        text = exp.Literal.string(str(value)) if not math.isfinite(value) else None
        number = exp.Literal.number(repr(value).lstrip("-")) if text is None else text
        tree: exp.Expr = exp.cast(number, "double")
        is_negative = text is None and math.copysign(1.0, value) < 0
        return Column(exp.Neg(this=exp.paren(tree)) if is_negative else tree)
    if isinstance(value, Decimal):
        return Column(_decimal(value))
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise TransformError(
                f"the literal {value!r} has no time zone, and means another time on each machine; "
                f"give it one: tzinfo=datetime.UTC"
            )
        since = value - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        micros = since // datetime.timedelta(microseconds=1)
        number = exp.Literal.number(abs(micros))
        argument = number if micros >= 0 else exp.Neg(this=number)
        return Column(exp.Anonymous(this="timestamp_micros", expressions=[argument]))
    if isinstance(value, (list, tuple)):
        items = [literal(v).column_expression for v in value]
        return Column(exp.Anonymous(this="array", expressions=items))
    if isinstance(value, str):
        return Column(exp.Literal.string(value))
    if value is None or isinstance(value, (bool, int, datetime.date)):
        return Column(exp.convert(value))
    raise TransformError(f"{value!r} is no literal that columns have a type for")


def _decimal(value: Decimal) -> exp.Expr:
    from sqlglot import exp

    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise TransformError(f"the decimal {value!r} is no number")
    scale = max(-exponent, 0)
    precision = max(len(digits) + max(exponent, 0), scale)
    return exp.cast(exp.Literal.string(f"{value:f}"), f"decimal({precision}, {scale})")


def _argument(value: Any, is_value: bool) -> exp.Expr:
    from sqlframe.base.column import Column

    if isinstance(value, Column):
        return value.column_expression
    if callable(value):
        return _lambda(value)
    if isinstance(value, str) and not is_value:
        return _sqlframe().col(value).column_expression  # type: ignore[no-any-return]
    return literal(value).column_expression


def _lambda(function: Callable[..., Any]) -> exp.Expr:
    """``lambda x: x + 1`` as ``x -> x + 1``."""
    from sqlframe.base.column import Column
    from sqlglot import exp

    names = [f"{name}_" for name in inspect.signature(function).parameters]
    body = function(*(Column(exp.column(name)) for name in names))
    variables = [exp.to_identifier(name) for name in names]
    return exp.Lambda(this=literal(body).column_expression, expressions=variables)


@contextmanager
def columns_of_pyspark() -> Iterator[None]:
    """Meanwhile, columns of sqlframe have what PySpark's have.

    Values that meet them become what they are in PySpark: sqlframe writes a float as the decimal
    of its digits, and a local time as one in UTC. And the methods that it lacks are there.
    """
    from sqlframe.base.column import Column

    theirs = {name: Column.__dict__.get(name) for name in _METHODS}
    try:
        for name, method in _METHODS.items():
            setattr(Column, name, method)
        yield
    finally:
        for name, method in theirs.items():
            if method is None:
                delattr(Column, name)
            else:
                setattr(Column, name, method)


def _bitwise(kind: str) -> Callable[..., Column]:
    def method(self: Column, other: Any) -> Column:
        from sqlglot import exp

        return self.binary_op(getattr(exp, kind), other, paren=True)

    return method


_METHODS: Mapping[str, Any] = {
    "_lit": classmethod(lambda _, value: literal(value)),
    "astype": lambda self, kind: self.cast(kind),
    "name": lambda self, name: self.alias(name),
    "isNaN": lambda self: PySparkFunctions().isnan(self),
    "bitwiseAND": _bitwise("BitwiseAnd"),
    "bitwiseOR": _bitwise("BitwiseOr"),
    "bitwiseXOR": _bitwise("BitwiseXor"),
}


def _sqlframe() -> Any:
    from sqlframe.base import functions

    return functions
