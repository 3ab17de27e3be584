"""Labels: by which door rows of a source came, and in which part of it."""

from __future__ import annotations

import hashlib
from enum import IntEnum

from noskew.stores.sources.base import Part

_HALF = 32
_LOW = (1 << _HALF) - 1


class Door(IntEnum):
    """How rows of a batch source come in."""

    #: By the source's own batch connector, whatever its path or query is at the moment.
    OWN = 1
    #: As data that was given to an ingest: a frame, or another connector.
    GIVEN = 2

    def part(self, part: Part) -> int:
        """A number for a part, of 64 bits: by its path, or by its content where it was given."""
        return self << _HALF | path_number(part.path if self is Door.OWN else part.token)


def path_number(path: str) -> int:
    """The lower half of the number of a part."""
    found = hashlib.blake2b(path.encode(errors="surrogatepass"), digest_size=4).digest()
    return int.from_bytes(found, "big") & _LOW
