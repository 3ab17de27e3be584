"""Frames: how messages stand in a segment file of the local log.

::

    0    4   "NSL1"
    4    4   CRC-32 of everything after it
    8    8   offset of the first message
    16   8   append time (µs since the epoch), of all messages
    24   4   number of messages, at least 1
    28   4   length of the body
    32   4n  length of each message
    …        the messages

All integers are little-endian. A frame is one append: whole or not there. Frames follow each
other without a space between them, and within a file their offsets leave none out.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.errors import LimitError

_HEADER = struct.Struct("<4sIqqII")
_AFTER_CRC = struct.Struct("<qqII")
_MAGIC = b"NSL1"
_CRC_END = 8
HEADER_BYTES = _HEADER.size
#: The longest body: lengths are 32 bits wide, and a reader holds a frame in memory.
MAX_BODY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Header:
    """The first bytes of a frame."""

    crc: int
    offset: int
    append_time: int
    count: int
    body: int

    @property
    def size(self) -> int:
        """The bytes of the whole frame."""
        return HEADER_BYTES + self.body

    @property
    def next_offset(self) -> int:
        """The offset after the frame's last message."""
        return self.offset + self.count


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that was read: ``lengths`` int64, shape (count,); ``data`` the messages joined."""

    header: Header
    lengths: NDArray[np.int64]
    data: memoryview


def encode(offset: int, append_time: int, payloads: Sequence[bytes]) -> bytes:
    """One frame. Raises LimitError for more than :data:`MAX_BODY_BYTES`."""
    lengths = np.fromiter((len(p) for p in payloads), np.int64, len(payloads))
    body = 4 * len(payloads) + int(lengths.sum())
    if body > MAX_BODY_BYTES:
        raise LimitError(
            f"{body} bytes in one append to a local log; at most {MAX_BODY_BYTES} fit: split it"
        )
    rest = b"".join(
        [
            _AFTER_CRC.pack(offset, append_time, len(payloads), body),
            lengths.astype("<u4").tobytes(),
            *payloads,
        ]
    )
    return _MAGIC + zlib.crc32(rest).to_bytes(4, "little") + rest


def read_header(data: memoryview) -> Header | None:
    """The header at the start of ``data``; None if it is none, or cut short."""
    if len(data) < HEADER_BYTES:
        return None
    magic, crc, offset, append_time, count, body = _HEADER.unpack_from(data)
    if magic != _MAGIC or count == 0 or body > MAX_BODY_BYTES or 4 * count > body:
        return None
    return Header(crc, offset, append_time, count, body)


def read_frame(data: memoryview) -> Frame | None:
    """The frame at the start of ``data``; None if it is damaged or cut short."""
    header = read_header(data)
    if header is None or len(data) < header.size:
        return None
    if zlib.crc32(data[_CRC_END : header.size]) != header.crc:
        return None
    lengths = np.frombuffer(data, "<u4", header.count, HEADER_BYTES).astype(np.int64)
    content = data[HEADER_BYTES + 4 * header.count : header.size]
    return Frame(header, lengths, content) if lengths.sum() == len(content) else None


def join(
    frames: Sequence[Frame], first: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], pa.LargeBinaryArray]:
    """(offsets, append times, payloads) of the messages of frames from offset ``first`` on."""
    heads = [f.header for f in frames]
    offsets = [np.arange(h.offset, h.next_offset) for h in heads]
    counts = [h.count for h in heads]
    times = np.repeat(np.array([h.append_time for h in heads], np.int64), counts)
    lengths = np.concatenate([np.zeros(1, np.int64), *(f.lengths for f in frames)])
    data = pa.py_buffer(frames[0].data if len(frames) == 1 else b"".join(f.data for f in frames))
    bounds = pa.py_buffer(np.cumsum(lengths))
    payloads = pa.Array.from_buffers(pa.large_binary(), len(lengths) - 1, [None, bounds, data])
    together = np.concatenate([np.zeros(0, np.int64), *offsets])
    skipped = int(np.searchsorted(together, first))
    return together[skipped:], times[skipped:], payloads.slice(skipped)
