"""Notes of a table: how they are checked, and where Iceberg keeps them.

They are properties of the table, one each, set by the transaction that adds the snapshot. That
transaction requires that the snapshot it is based on is still the latest, and no other one sets
them: so they are exactly as old as the latest snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from noskew.errors import InputError, InvalidNameError, LimitError, NoteMismatchError

#: A note is rewritten with all of the table's metadata by every commit.
MAX_NOTE_BYTES = 8_192
_PREFIX = "noskew.note."
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def check_note_name(kind: str, name: str) -> None:
    """Raise InvalidNameError if ``name`` cannot name a note or be a token."""
    if not _NAME.fullmatch(name):
        raise InvalidNameError(
            f"{kind} {name[:140]!r}: use 1 to 128 of letters, digits and '_', '.', ':', '-'"
        )


def check_notes(notes: Mapping[str, str], expected: Iterable[str]) -> None:
    """Raise InvalidNameError, InputError or LimitError for notes that cannot be kept."""
    for name in (*notes, *expected):
        check_note_name("note", name)
    for name, text in notes.items():
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise InputError(f"note {name!r}: the text is not Unicode: {error}") from error
        if size > MAX_NOTE_BYTES:
            raise LimitError(f"note {name!r}: {size} bytes, at most {MAX_NOTE_BYTES} are kept")


def check_expected(
    table: str, found: Mapping[str, str], expected: Mapping[str, str | None]
) -> None:
    """Raise NoteMismatchError unless every note has the text that is expected of it."""
    for name, text in expected.items():
        if found.get(name) != text:
            raise NoteMismatchError(
                f"the note {name!r} of the table {table!r} is {_shown(found.get(name))}, expected "
                f"{_shown(text)}; nothing was added: somebody else moved on, so look at the notes "
                f"before anything is done again",
                note=name,
                found=found.get(name),
                expected=text,
            )


def to_properties(notes: Mapping[str, str]) -> dict[str, str]:
    """Notes as properties of an Iceberg table."""
    return {f"{_PREFIX}{name}": text for name, text in notes.items()}


def from_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """The notes among the properties of an Iceberg table."""
    return {
        name.removeprefix(_PREFIX): text
        for name, text in properties.items()
        if name.startswith(_PREFIX)
    }


def _shown(text: str | None) -> str:
    if text is None:
        return "not there"
    return repr(text if len(text) <= 200 else f"{text[:200]}…")
