"""Whether the options of ``ns.Csv`` can mean anything."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from noskew.errors import DefinitionError
from noskew.time_format import TimeFormat


def check_csv(
    *,
    delimiter: str | None,
    timezone: str | None,
    timestamp_format: str | None,
    null_values: Sequence[str],
    encoding: str | None,
    decimal: str,
) -> None:
    """Raise DefinitionError, naming the option, for one that no file can be read with."""
    if delimiter is not None and not (
        len(delimiter) == 1 and delimiter.isascii() and delimiter not in '\r\n\0"'
    ):
        raise _refused("delimiter", delimiter, "one ASCII character, such as ';' or '\\t'")
    if decimal not in (".", ","):
        raise _refused("decimal", decimal, "'.' or ','")
    if decimal == delimiter:
        raise _refused("delimiter", delimiter, f"another than decimal={decimal!r}")
    if any(not isinstance(text, str) for text in null_values):
        raise _refused("null_values", null_values, "texts, such as ['NULL']")
    if timezone is not None and not _is_zone(timezone):
        raise _refused("timezone", timezone, "a time zone, such as 'UTC' or 'Europe/Berlin'")
    if encoding is not None and not _is_encoding(encoding):
        raise _refused("encoding", encoding, "an encoding of text, such as 'cp1252'")
    if timestamp_format is not None:
        TimeFormat.of(timestamp_format)


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
