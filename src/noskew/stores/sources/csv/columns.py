"""Texts of a CSV file as values of a declared type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from noskew.stores.sources.csv.options import CsvOptions
from noskew.stores.sources.csv.text_lists import json_lists
from noskew.stores.sources.csv.text_times import formatted_times, iso_times
from noskew.types import DType

TRUE = ("true", "True", "TRUE", "t", "1")
FALSE = ("false", "False", "FALSE", "f", "0")
_TEXTS = ("string", "bytes")


class BadValueError(Exception):
    """The value at ``row`` cannot be what its column is declared; ``advice`` says what helps."""

    def __init__(self, row: int, value: str, advice: str) -> None:
        super().__init__(advice)
        self.row, self.value, self.advice = row, value, advice


@dataclass(frozen=True, slots=True)
class TextColumns:
    """Makes columns of texts, as ``options`` say that they are written."""

    options: CsvOptions

    def has_own_form(self, kind: DType) -> bool:
        """Whether only :meth:`values` can read the type, and no general reader of CSV."""
        said = self.options.timezone or self.options.timestamp_format
        return kind.is_nested or (kind.kind == "timestamp" and said is not None)

    def values(self, fields: pa.Array, kind: DType) -> pa.Array:
        """The values of a column, which is given as bytes, null where a text column is null.

        Empty fields are null except in text. Raises BadValueError for the first field that is
        not of the type.
        """
        if kind.kind == "bytes":
            return fields
        text = self._cast(fields, lambda part: part.cast(pa.string()), kind)
        if kind.kind == "string":
            return text
        text = pc.utf8_trim(text, " \t")
        absent = pa.array(["", *(self.options.null_values or ())], pa.string())
        text = pc.if_else(pc.is_in(text, absent), pa.scalar(None, pa.string()), text)
        return self._cast(text, lambda part: self._typed(part, kind), kind)

    def _cast(self, texts: pa.Array, cast: Callable[[pa.Array], pa.Array], kind: DType) -> pa.Array:
        try:
            return cast(texts)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            row = _first_bad(texts, cast)
        value = texts[row].as_py()
        if isinstance(value, bytes):
            shown = value.decode("utf-8", "backslashreplace")
            advice = "its bytes are not UTF-8; set encoding= to what the file is written in"
        else:
            shown, advice = value, self._advice(value, kind)
        raise BadValueError(row, shown[:80], advice)

    def _typed(self, text: pa.Array, kind: DType) -> pa.Array:
        if kind.is_nested:
            return json_lists(text, kind, self._typed)
        if kind.kind == "timestamp":
            if format := self.options.time_format:
                return formatted_times(text, format, self.options.timezone)
            return iso_times(text, self.options.timezone)
        if kind.kind == "bool":
            return _bools(text)
        if kind.is_integer:
            # As writers have integers of a column that has holes, too: whole floats.
            text = pc.replace_substring_regex(text, r"^\+?(-?\d+)(?:\.0*)?$", r"\1")
        elif self.options.decimal == "," and (kind.is_float or kind.kind == "decimal"):
            if pc.any(pc.match_substring(text, ".")).as_py():
                raise pa.ArrowInvalid("a point is no decimal comma")
            text = pc.replace_substring(text, ",", ".")
        return text.cast(kind.to_arrow())

    def _advice(self, value: str, kind: DType) -> str:
        item = kind.item or kind
        if kind.is_nested:
            return "write lists as JSON, such as [1, 2], and a vector in its full length"
        if item.kind == "timestamp":
            return self._advice_on_time(value)
        if item.kind == "bool":
            return "write true or false; or set null_values= if that stands for a missing value"
        numbers = item.is_float or item.kind == "decimal"
        if numbers and self.options.decimal == "." and "," in value and "." not in value:
            return "set decimal=',' if that is a decimal comma"
        if any(sign.isdigit() for sign in value):
            return "correct it, or declare another type"
        return f"set null_values=[{value!r}] if that stands for a missing value"

    def _advice_on_time(self, value: str) -> str:
        format, zone = self.options.time_format, self.options.timezone

        def is_time(texts: pa.Array) -> pa.Array:
            return formatted_times(texts, format, "UTC") if format else iso_times(texts, "UTC")

        if not _reads(is_time, value):
            if format:
                return f"it is not in timestamp_format={format.text!r}"
            return (
                "write times as 2026-01-31T12:30:00Z, or set timestamp_format=, such as "
                "'%d/%m/%Y %H:%M'"
            )
        if zone:
            return (
                f"the clocks of {zone} show that time twice, or never; give it an offset in the "
                f"file"
            )
        return (
            "it has no offset, so it could mean any of 24 hours; end it in 'Z' or in an offset "
            "such as '+02:00', or set timezone= to where its clock is, such as 'UTC'"
        )


def _bools(text: pa.Array) -> pa.Array:
    place = pc.index_in(text, pa.array([*TRUE, *FALSE]))
    if place.null_count > text.null_count:
        raise pa.ArrowInvalid("neither true nor false")
    return pc.less(place, len(TRUE))


def _reads(cast: Callable[[pa.Array], pa.Array], value: str) -> bool:
    try:
        cast(pa.array([value]))
    except pa.ArrowInvalid:
        return False
    return True


def _first_bad(texts: pa.Array, cast: Callable[[pa.Array], pa.Array]) -> int:
    """The first item that ``cast`` refuses, by halves."""
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            cast(texts.slice(low, middle - low))
            low = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            high = middle
    return low
