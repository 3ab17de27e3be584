"""Saved training sets as the registry keeps them: not the content, but what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SavedTrainingSet:
    """A saved training set: how to build it again, and the digest of its content.

    ``spec`` is JSON data; ``created_at`` is in µs.
    """

    name: str
    spec: Mapping[str, Any]
    digest: str
    created_at: int
