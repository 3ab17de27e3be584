"""A place in one partition of the local log, from which messages are read on."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from noskew.errors import CorruptDataError, StoreUnavailableError
from noskew.stores.log.base import Messages, check_offset
from noskew.stores.log.local import segments
from noskew.stores.log.local.frames import HEADER_BYTES, LogFrame, join, read_frame, read_header
from noskew.stores.log.local.head import Head
from noskew.stores.log.local.segments import JUMP


class Cursor:
    """Reads a partition on from an offset, without any lock.

    Only frames before the head's end are read; writers never change those. A segment that is
    removed meanwhile stays readable while it is open.
    """

    def __init__(self, directory: Path, partition: int, offset: int) -> None:
        self._directory, self._partition = directory, partition
        self._head = Head(directory, writable=False)
        self._segment, self._base, self._position = -1, -1, 0
        self.offset = offset
        self.paused = False
        try:
            self._check(bounds(directory, self._head))
        except BaseException:
            self.close()
            raise

    def read(self, max_bytes: int) -> Messages | None:
        """The next messages; None if there are none yet."""
        end = self._head.end
        while self.offset < end:
            if self._segment < 0:
                self._open()
            frames = self._frames(max_bytes, end)
            if frames:
                offsets, times, payloads = join(frames, self.offset)
                self.offset = frames[-1].header.next_offset
                return Messages(self._partition, offsets, times, payloads, self.offset)
            if self._open_next() and self.offset == end:
                return self._nothing()  # only offsets that a crash of the machine left out
        return None

    def check_present(self) -> None:
        """Raise StoreUnavailableError when the log has been removed."""
        if self._head.is_removed:
            # A segment that was opened last may be of a log that was made in its place.
            self._close_segment()
            raise StoreUnavailableError(
                f"the log {self._directory.parent} was removed while it was read"
            )

    def close(self) -> None:
        """Close the files."""
        self._close_segment()
        self._head.close()

    def _check(self, held: tuple[int, int]) -> None:
        check_offset(f"the log {self._directory.parent}", self._partition, self.offset, held)

    def _nothing(self) -> Messages:
        none = np.zeros(0, np.int64)
        return Messages(self._partition, none, none, pa.array([], pa.large_binary()), self.offset)

    def _open(self) -> None:
        """Open the segment that the offset lies in, and find it there."""
        while self._segment < 0:
            end = self._head.end
            offsets = segments.bases(self._directory)
            self._check((offsets[0] if offsets else end, end))
            # False: it has been removed since, so look again.
            self._open_segment(max(b for b in offsets if b <= self.offset))
        self._position = segments.find_offset(self._segment, self.offset)

    def _open_next(self) -> bool:
        """Go on to the segment after the one that was read; True if that moved the offset."""
        offsets = segments.bases(self._directory)
        later = [b for b in offsets if b > self._base]
        if not later:
            raise self._damaged(0)
        if self._base not in offsets:  # removed under us, and perhaps others with it
            self._check((later[0], max(self._head.end, later[0])))
        # A segment begins where the last one ended, or a jump later.
        skipped = later[0] - self.offset
        if skipped and skipped < JUMP // 2:
            raise self._damaged(0)
        self._close_segment()
        if self._open_segment(later[0]):
            self.offset = later[0]
        return skipped > 0

    def _open_segment(self, base: int) -> bool:
        path = segments.path_of(self._directory, base)
        try:
            self._segment = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        self._base, self._position = base, 0
        self.check_present()
        return True

    def _close_segment(self) -> None:
        if self._segment >= 0:
            os.close(self._segment)
            self._segment = -1

    def _frames(self, max_bytes: int, end: int) -> list[LogFrame]:
        """Whole frames from the position on, at least one if there is any before ``end``."""
        data = memoryview(os.pread(self._segment, max_bytes, self._position))
        header = read_header(data)
        if header is not None and header.size > len(data) and header.offset < end:
            data = memoryview(os.pread(self._segment, header.size, self._position))
        frames: list[LogFrame] = []
        at, expected = 0, self.offset
        while at + HEADER_BYTES <= len(data):
            header = read_header(data[at:])
            if header is not None and header.offset >= end:
                break
            frame = read_frame(data[at:])
            # The first one may begin before the offset, the others follow each other.
            fits = frame is not None and frame.header.offset <= expected < frame.header.next_offset
            if frame is None or not fits:
                if frames:
                    break  # cut by max_bytes; or damaged: raise when it is its turn
                raise self._damaged(at)
            frames.append(frame)
            expected = frame.header.next_offset
            at += frame.header.size
        self._position += at
        return frames

    def _damaged(self, at: int) -> CorruptDataError:
        path = segments.path_of(self._directory, self._base)
        return CorruptDataError(
            f"{path} is damaged at byte {self._position + at}, at or after message {self.offset} "
            f"of partition {self._partition}; restore it from a copy, or rebuild what was made "
            f"from it and start a new log"
        )


def bounds(directory: Path, head: Head) -> tuple[int, int]:
    """The first offset that a partition holds, and the one to come."""
    end = head.end  # first: segments that are made meanwhile begin at it or later
    bases = segments.bases(directory)
    return (min(bases[0], end) if bases else end), end
