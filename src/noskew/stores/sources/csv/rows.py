"""Where the rows of CSV bytes end: line breaks between quotes are part of a field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

QUOTE = b'"'


#: A row of more bytes is one whose quote was never closed; Arrow's blocks end at twice as many.
MOST_ROW_BYTES = 1 << 30


class BadRowError(Exception):
    """Row ``row`` of a piece, counted in lines that are not empty, does not fit: ``reason``."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row, self.reason = row, reason


class ByteStream(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end only."""


def pieces(
    stream: ByteStream, delimiter: bytes, newline: bytes, size: int, begun: bytes = b""
) -> Iterator[bytes]:
    """The bytes of ``begun`` and then the stream, in pieces of whole rows.

    A piece has about ``size`` bytes, or more where one row has. The first byte begins a row. Only
    the last piece may lack a line end. Raises BadRowError for a row that does not end.
    """
    rest = begun
    while block := stream.read(max(size, len(rest))):  # so that a long row is looked at log n times
        if QUOTE in rest or QUOTE in block:
            # Whether a line break is in quotes is known from the beginning of its row only.
            end = max(0, last_row_end(rest + block, delimiter, newline) - len(rest))
        else:
            end = block.rfind(newline) + 1
        if end:
            yield b"".join((rest, memoryview(block)[:end]))
            rest = block[end:]
        else:
            rest += block
            check_row_size(rest)
    end = last_row_end(rest, delimiter, newline)
    if end:
        yield rest[:end]
    if last := rest[end:]:
        if len(_quotes(last, delimiter)) % 2:
            raise BadRowError(0, "the file ends within quotes; is there a quote without a pair?")
        yield last


def check_row_size(row: bytes) -> None:
    """Raise BadRowError for the beginning of a row that is too long to be one."""
    if len(row) > MOST_ROW_BYTES:
        raise BadRowError(
            0, f"a row has no end within {MOST_ROW_BYTES:,} bytes; is there a quote without a pair?"
        )


def last_row_end(data: bytes, delimiter: bytes, newline: bytes) -> int:
    """Behind the last row that is whole; 0 if none is."""
    end = data.rfind(newline) + 1
    if not end or QUOTE not in data:
        return end
    quotes = _quotes(data, delimiter)
    while end:
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            return end
        end = data.rfind(newline, 0, int(quotes[before - 1])) + 1
    return 0


def row_ends(data: bytes, delimiter: bytes, newline: bytes) -> Any:
    """Behind each row that is whole: positions, int64, ascending."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == newline[0]) + 1
    if QUOTE not in data:
        return ends
    return ends[np.searchsorted(_quotes(data, delimiter), ends) % 2 == 0]


def _quotes(data: bytes, delimiter: bytes) -> Any:
    """Where quoted text begins and ends, by turns.

    A doubled quote may count as an end and a beginning. Usually all quotes of a file are such
    ends, which is seen at once; a quote amid a field that is not quoted is only a character, and
    then each is looked at.
    """
    codes = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(codes == QUOTE[0])
    begins = quotes[::2]
    before = codes[begins[begins > 0] - 1]
    can_begin = np.zeros(256, np.bool_)
    can_begin[list(delimiter + b"\r\n" + QUOTE)] = True
    if can_begin[before].all():
        return quotes
    return np.array(_walk(data, delimiter), np.int64)


def _walk(data: bytes, delimiter: bytes) -> list[int]:
    found, starts = [], delimiter + b"\r\n"
    at = data.find(QUOTE)
    while at != -1:
        if at and data[at - 1] not in starts:
            at = data.find(QUOTE, at + 1)
            continue
        end = data.find(QUOTE, at + 1)
        while end != -1 and data[end + 1 : end + 2] == QUOTE:
            end = data.find(QUOTE, end + 2)
        found.append(at)
        if end == -1:
            break
        found.append(end)
        at = data.find(QUOTE, end + 1)
    return found
