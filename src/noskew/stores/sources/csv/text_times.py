"""Texts as times, as programs write them, or by a format that is said."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from noskew.time_format import MONTHS, TimeFormat

TIME = pa.timestamp("us", "UTC")
_LOCAL = pa.timestamp("us")
_OFFSET = r"(?:Z|[+-]\d{2}(?::?\d{2})?)$"
#: With a clock before it: the end of a plain date looks like an offset.
_CLOCK_AND_OFFSET = r"\d{2}:\d{2}.*" + _OFFSET
_FINER = r"^(.*\.\d{6})\d+(.*)$"
_IS_FINER = r"\.\d{6}0*[1-9]"


def iso_times(text: pa.Array, zone: str | None) -> pa.Array:
    """ISO 8601 texts as times: what has no offset is local time of ``zone``.

    Nanoseconds are cut off, towards 1970. Raises ArrowInvalid for a text that is no time, or has
    no offset where there is no zone, and for local times that are there twice or never.
    """
    text = pc.replace_substring_regex(text, r"(\d) ?z$", r"\1Z")
    text = pc.replace_substring_regex(text, r"(:\d{2}(?:\.\d+)?) ([+-]\d{2}:?\d{2})$", r"\1\2")
    finer = pc.match_substring_regex(text, _IS_FINER)
    text = pc.replace_substring_regex(text, _FINER, r"\1\2")
    if zone is None:
        times = text.cast(TIME)
    else:
        times = _mixed(text, pc.match_substring_regex(text, _CLOCK_AND_OFFSET), zone)
    return _towards_1970(times, finer)


def formatted_times(text: pa.Array, format: TimeFormat, zone: str | None) -> pa.Array:
    """Texts in a format of ``strptime`` as times; raises as :func:`iso_times` does."""
    found = pc.extract_regex(text, format.pattern)
    if found.null_count > text.null_count:
        raise pa.ArrowInvalid("a time is not in the format")
    part = {name: pc.struct_field(found, name) for name in format.parts}
    clock = [_padded(part.get(name, "0")) for name in ("M", "S")]
    pieces = [
        pc.binary_join_element_wise(_year(part), _month(part), _padded(part["d"]), "-"),
        " ",
        pc.binary_join_element_wise(_hour(part), *clock, ":"),
    ]
    if "f" in part:
        pieces += [".", pc.utf8_rpad(part["f"], 6, "0")]
    if "z" in part:
        pieces.append(part["z"])
    return iso_times(pc.binary_join_element_wise(*pieces, ""), None if "z" in part else zone)


def _mixed(text: pa.Array, with_offset: pa.Array, zone: str) -> pa.Array:
    def local(part: pa.Array) -> pa.Array:
        return pc.assume_timezone(part.cast(_LOCAL), zone).cast(TIME)

    if not pc.any(with_offset).as_py():
        return local(text)
    absent = pa.scalar(None, pa.string())
    own = pc.if_else(with_offset, text, absent).cast(TIME)
    return pc.coalesce(own, local(pc.if_else(with_offset, absent, text)))


def _towards_1970(times: pa.Array, finer: pa.Array) -> pa.Array:
    if not pc.any(finer).as_py():
        return times
    micros = times.cast(pa.int64())
    early = pc.and_(finer, pc.less(micros, 0))
    return pc.if_else(early, pc.add(micros, 1), micros).cast(TIME)


def _padded(digits: Any) -> Any:
    return pc.utf8_lpad(digits, 2, "0")


def _year(part: dict[str, pa.Array]) -> pa.Array:
    if "Y" in part:
        return part["Y"]
    # As POSIX and Python have it: 69 to 99 are of the last century.
    century = pc.if_else(pc.less(part["y"].cast(pa.int32()), 69), "20", "19")
    return pc.binary_join_element_wise(century, part["y"], "")


def _month(part: dict[str, pa.Array]) -> pa.Array:
    if "m" in part:
        return _padded(part["m"])
    names = pa.array([name[:3].lower() for name in MONTHS])
    text = pc.utf8_lower(pc.utf8_slice_codeunits(part["b" if "b" in part else "B"], 0, 3))
    number = pc.add(pc.index_in(text, names), 1)
    return _padded(number.cast(pa.string()))


def _hour(part: dict[str, pa.Array]) -> Any:
    if "I" not in part:
        return _padded(part.get("H", "0"))
    hour = pc.if_else(pc.equal(part["I"].cast(pa.int32()), 12), 0, part["I"].cast(pa.int32()))
    late = pc.equal(pc.utf8_lower(part["p"]), "pm")
    return _padded(pc.if_else(late, pc.add(hour, 12), hour).cast(pa.string()))
