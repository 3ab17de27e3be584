"""State: what a table of events says of its ingests, as notes of the table.

Notes change with the events in one commit, so they are never ahead of them nor behind.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from noskew.errors import CorruptDataError
from noskew.stores.sources.base import Part
from noskew.training.relation.marks import Mark

#: Whoever commits an ingest expects this note to be as it was.
HEAD = "ingests"
#: A part is known by so many bytes of a hash of its token.
_PART_BYTES = 8
#: Parts in a note: with four characters for three bytes they take less than 8,192.
_PARTS_A_NOTE = 720


class _Head(msgspec.Struct, frozen=True, omit_defaults=True):
    ingests: int
    #: How many notes say which parts there were; None: the source's own data was never read.
    notes: int | None
    has_gone: bool
    has_given: bool
    undone: int = 0
    mark: Mark | None = None


@dataclass(frozen=True)
class IngestState:
    """What is known without a look at the events.

    Attributes
    ----------
    ingests
        How many there were.
    parts
        Ids of the parts that the source's own data had at the last ingest of it; None: it was
        never ingested.
    has_gone
        Whether there may be rows of the source's own data that none of these parts has.
    has_given
        Whether rows came as data that was given.
    undone
        How many runs were undone.
    text
        The note that says so; None: there is none yet.
    mark
        Where the last ingest by a cursor came to; None if it was by none.
    """

    ingests: int
    parts: frozenset[bytes] | None
    has_gone: bool
    has_given: bool
    undone: int
    text: str | None
    mark: Mark | None = None

    @classmethod
    def of_notes(cls, notes: Mapping[str, str]) -> IngestState:
        """Of a table's notes. Raises CorruptDataError for those that are damaged."""
        text = notes.get(HEAD)
        if text is None:
            return cls(0, None, False, False, 0, None)
        try:
            head = msgspec.json.decode(text, type=_Head)
            parts = None
            if head.notes is not None:
                texts = (notes[_name(i)] for i in range(head.notes))
                packed = (base64.b64decode(text, validate=True) for text in texts)
                parts = frozenset(_ids(b"".join(packed)))
        except (msgspec.DecodeError, KeyError, binascii.Error) as error:
            raise CorruptDataError(f"the notes {HEAD!r} of a table are damaged: {error}") from error
        return cls(head.ingests, parts, head.has_gone, head.has_given, head.undone, text, head.mark)

    def with_given(self) -> IngestState:
        """After an ingest of data that was given."""
        return self._next(has_given=True)

    def with_parts(
        self, parts: Iterable[bytes], *, has_gone: bool, mark: Mark | None = None
    ) -> IngestState:
        """After an ingest of the source's own data, which has these parts now."""
        return self._next(parts=frozenset(parts), has_gone=has_gone, mark=mark)

    def with_undone(self) -> IngestState:
        """After a run was undone: what the parts hold must be compared with what is there."""
        return self._next(parts=frozenset(), has_gone=True, undone=self.undone + 1, mark=None)

    def _next(self, **changed: Any) -> IngestState:
        after = replace(self, ingests=self.ingests + 1, **changed)
        return replace(after, text=after.to_notes()[HEAD])

    def to_notes(self) -> dict[str, str]:
        """The notes that say so."""
        notes, count = {}, None
        if self.parts is not None:
            ids = sorted(self.parts)
            pieces = [ids[i : i + _PARTS_A_NOTE] for i in range(0, len(ids), _PARTS_A_NOTE)]
            texts = [base64.b64encode(b"".join(piece)).decode() for piece in pieces]
            notes = {_name(i): text for i, text in enumerate(texts)}
            count = len(texts)
        head = _Head(self.ingests, count, self.has_gone, self.has_given, self.undone, self.mark)
        return {HEAD: msgspec.json.encode(head).decode(), **notes}


def part_id(part: Part) -> bytes:
    """What a part is known by in the notes."""
    return hashlib.blake2b(part.token.encode(), digest_size=_PART_BYTES).digest()


def _ids(packed: bytes) -> list[bytes]:
    return [packed[i : i + _PART_BYTES] for i in range(0, len(packed), _PART_BYTES)]


def _name(number: int) -> str:
    return f"{HEAD}.parts.{number}"
