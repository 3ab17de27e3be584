"""Principals: who asks."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class Principal:
    """Who asks, as far as it is known: a frozen value, made once and passed down.

    Attributes
    ----------
    kind
        A person, or a program with a name of its own.
    name
        Unique among those of its kind.
    groups, team
        What it belongs to. None: to no team.
    attributes
        What else is known of it, by name.
    """

    kind: Literal["user", "service"]
    name: str
    groups: frozenset[str] = frozenset()
    team: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", frozenset(self.groups))
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    @classmethod
    def local(cls) -> Principal:
        """The user whose process this is: whoever reaches it acts with their rights."""
        return _local()

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@cache
def _local() -> Principal:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        name = "local"
    return Principal("user", name)
