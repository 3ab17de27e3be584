"""Segment files of a partition: ``00000000000000000042.log`` begins at offset 42."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from noskew.stores.log.local.frames import HEADER_BYTES, Header, read_frame, read_header

#: After a crash of the machine that may have lost messages, offsets go on this much higher, in a
#: new segment, so that none is ever given to two messages.
JUMP = 1 << 32
_SUFFIX = ".log"
_DIGITS = 20
#: A scan reads this many bytes at a time.
_SCAN_BYTES = 4 << 20


def path_of(directory: Path, base: int) -> Path:
    """The file of the segment that begins at an offset."""
    return directory / f"{base:0{_DIGITS}d}{_SUFFIX}"


def bases(directory: Path) -> list[int]:
    """The first offsets of the segments that are there, ascending."""
    with os.scandir(directory) as entries:
        names = [e.name for e in entries]
    found = (n.removesuffix(_SUFFIX) for n in names if n.endswith(_SUFFIX))
    return sorted(int(n) for n in found if n.isdecimal() and len(n) == _DIGITS)


@dataclass
class Place:
    """Where frames go on: ``position`` in a file, ``end`` the offset after the last frame."""

    position: int
    end: int


def scan_whole(descriptor: int, place: Place) -> Place:
    """The place after the last whole frame, looking on from ``place``; checks every byte."""
    position, end = place.position, place.end
    wanted = _SCAN_BYTES
    while data := os.pread(descriptor, wanted, position):
        view = memoryview(data)
        at = 0
        while (frame := read_frame(view[at:])) is not None:
            at += frame.header.size
            end = frame.header.next_offset
        if at == 0:
            header = read_header(view)
            if header is None or header.size <= len(data) or len(data) < wanted:
                break  # damaged, or cut short
            wanted = header.size
            continue
        position, wanted = position + at, _SCAN_BYTES
    return Place(position, end)


def find_offset(descriptor: int, offset: int) -> int:
    """The position of the first frame that holds ``offset`` or a later one, by headers alone."""
    position = 0
    while (header := _header_at(descriptor, position)) is not None:
        if header.next_offset > offset:
            break
        position += header.size
    return position


def append_time_at(path: Path) -> int | None:
    """When the first message of a segment was appended; None if it has none."""
    with path.open("rb", buffering=0) as file:
        header = _header_at(file.fileno(), 0)
    return None if header is None else header.append_time


def _header_at(descriptor: int, position: int) -> Header | None:
    return read_header(memoryview(os.pread(descriptor, HEADER_BYTES, position)))
