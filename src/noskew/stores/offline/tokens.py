"""Tokens of snapshots that were expired, in one property of the table.

An ingest that is repeated after years must still be recognised, long after its snapshot has gone.
A token takes 32 bytes here, 43 as text, and a hundred thousand of them some megabytes: each is a
hash of 16 bytes, the snapshot's id and the number of rows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable, Mapping

from noskew.errors import CorruptDataError
from noskew.stores.offline.base import Commit

_PROPERTY = "noskew.expired-tokens"
_RECORD = struct.Struct("<16sqq")

#: Snapshot and rows, by the hash of a token.
Expired = Mapping[bytes, tuple[int, int]]


def expired_commit(expired: Expired, token: str) -> Commit | None:
    """The commit that carried a token, if its snapshot was expired."""
    when = expired.get(_hash(token))
    return Commit(*when, token, repeated=True) if when else None


def to_properties(expired: Expired, commits: Iterable[Commit]) -> dict[str, str]:
    """The property that holds the tokens of ``expired`` and of ``commits``."""
    together = dict(expired)
    for commit in commits:
        if commit.token is not None:
            together[_hash(commit.token)] = (commit.snapshot, commit.rows)
    packed = b"".join(_RECORD.pack(key, *value) for key, value in together.items())
    return {_PROPERTY: base64.b64encode(packed).decode()}


def from_properties(name: str, properties: Mapping[str, str]) -> Expired:
    """The tokens of expired snapshots of the table ``name``.

    Raises CorruptDataError for a property that :func:`to_properties` did not make.
    """
    try:
        packed = base64.b64decode(properties.get(_PROPERTY, ""), validate=True)
        return {key: (snapshot, rows) for key, snapshot, rows in _RECORD.iter_unpack(packed)}
    except (binascii.Error, struct.error) as error:
        raise CorruptDataError(
            f"the property {_PROPERTY} of the table {name!r} is damaged: {error}"
        ) from error


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()[:16]
