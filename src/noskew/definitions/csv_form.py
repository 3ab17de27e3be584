"""Whether the options of ``ns.Csv`` can mean anything."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from noskew.errors import DefinitionError
from noskew.time_format import TimeFormat

if TYPE_CHECKING:
    from noskew.definitions.connectors import Csv


def check_csv(csv: Csv) -> None:
    """Raise DefinitionError, naming the option, for one that no file can be read with."""
    delimiter = csv.delimiter
    if delimiter is not None and not (
        len(delimiter) == 1 and delimiter.isascii() and delimiter not in '\r\n\0"'
    ):
        raise _refused("delimiter", delimiter, "one ASCII character, such as ';' or '\\t'")
    if csv.decimal not in (".", ","):
        raise _refused("decimal", csv.decimal, "'.' or ','")
    if csv.decimal == delimiter:
        raise _refused("delimiter", delimiter, f"another than decimal={csv.decimal!r}")
    if any(not isinstance(text, str) for text in csv.null_values or ()):
        raise _refused("null_values", csv.null_values, "texts, such as ['NULL']")
    if csv.timezone is not None and not _is_zone(csv.timezone):
        raise _refused("timezone", csv.timezone, "a time zone, such as 'UTC' or 'Europe/Berlin'")
    if csv.encoding is not None and not _is_encoding(csv.encoding):
        raise _refused("encoding", csv.encoding, "an encoding of text, such as 'cp1252'")
    if csv.timestamp_format is not None:
        TimeFormat.of(csv.timestamp_format)


def _refused(option: str, value: object, expected: str) -> DefinitionError:
    return DefinitionError(f"Csv: {option}={value!r}: expected {expected}")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
        "".encode(name)  # refuses codecs that make no text
    except (LookupError, ValueError):
        return False
    return True
