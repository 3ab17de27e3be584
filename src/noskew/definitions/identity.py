"""Canonical JSON and digests: how definitions become comparable data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

#: Bumped when the meaning of definitions changes, so that old rows never mix with new code.
SEMANTICS_VERSION = 1


def canonical_json(data: Any) -> bytes:
    """JSON with sorted keys and no spaces; equal data gives equal bytes."""
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)


def digest(data: Any) -> str:
    """128 bits of BLAKE2b over the canonical JSON of ``data``, as 32 hex digits."""
    return digest_of(canonical_json(data))


def digest_of(canonical: bytes) -> str:
    """As :func:`digest`, of data whose canonical JSON is at hand."""
    return hashlib.blake2b(canonical, digest_size=16).hexdigest()


def definition_digest(kind: str, identity: Mapping[str, Any]) -> str:
    """The ``definition_hash`` (SPEC §9): kind, identity and the semantics version."""
    return digest({"kind": kind, "semantics": SEMANTICS_VERSION, "identity": dict(identity)})
