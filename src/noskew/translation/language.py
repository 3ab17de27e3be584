"""What a dialect is, as far as its expressions go: tables, and how its types convert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from sqlglot.dialects.dialect import Dialect

from noskew.translation.rules import DialectFunction
from noskew.translation.typed import Typed
from noskew.types import DType

if TYPE_CHECKING:
    from sqlglot import exp


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

        Raises Unfit where there is none.
        """
        raise NotImplementedError

    def comparable(self, values: Sequence[Typed]) -> list[Typed]:
        """Both sides of a comparison, as one type. Raises Unfit."""
        raise NotImplementedError

    def type_of(self, written: exp.DataType) -> DType:
        """A type as it is written in a cast. Raises Unfit for one that noskew does not have."""
        raise NotImplementedError
