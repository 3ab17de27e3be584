"""Entity keys of the online store for people: the inverse of :mod:`noskew.kernel.keys`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from noskew.clock import to_text
from noskew.types import DType

_EPOCH_DAY = 719_163


def key_text(key: bytes, kinds: Mapping[str, DType]) -> str:
    """``user=17, country=DE``; in hexadecimal what is no key of these types, or too long a one.

    Of a key longer than 480 bytes only a digest is there.
    """
    parts = _parts(key)
    if parts is None or len(parts) != len(kinds):
        return key.hex()
    try:
        shown = [_text(part, kind) for part, kind in zip(parts, kinds.values(), strict=True)]
    except (ValueError, OverflowError):
        return key.hex()
    return ", ".join(f"{name}={text}" for name, text in zip(kinds, shown, strict=True))


def _parts(key: bytes) -> list[bytes] | None:
    """The bytes of each part; None where the lengths do not lead to the end."""
    parts, at = [], 0
    while at < len(key):
        size = shift = 0
        more = True
        while more:
            if at >= len(key):
                return None
            size |= (key[at] & 127) << shift
            more, shift, at = key[at] >= 128, shift + 7, at + 1
        if at + size > len(key):
            return None
        parts.append(key[at : at + size])
        at += size
    return parts


def _text(part: bytes, kind: DType) -> str:
    if kind.kind == "string":
        return part.decode()
    if kind.kind == "bytes":
        return part.hex()
    if not part:
        raise ValueError("an integer has a byte at least")
    number = int.from_bytes(part, "big", signed=True)
    if kind.kind == "bool":
        return str(bool(number)).lower()
    if kind.kind == "date":
        return date.fromordinal(number + _EPOCH_DAY).isoformat()
    if kind.kind == "timestamp":
        return to_text(number)
    return str(number)
