"""Entity: the thing that features describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from noskew.errors import DefinitionError
from noskew.types import Schema, check_name

#: Types whose equality is exact and the same everywhere; floats and nested types are not.
KEY_KINDS = frozenset(
    {"bool", "int8", "int16", "int32", "int64", "string", "bytes", "date", "timestamp"}
)


@dataclass(frozen=True)
class Entity:
    """The thing that features describe, and the typed join keys that name one of them.

    Parameters
    ----------
    name
        An identifier, unique in the project.
    keys
        Join key columns and their types, in order: ``{"origin": str}``, or several for a
        compound key. Types: bool, integers, string, bytes, date, timestamp. Floats are
        refused since their equality is not exact.
    description, owner, tags
        For people; not part of the identity.
    """

    name: str
    keys: Schema
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def __init__(
        self,
        name: str,
        keys: Mapping[str, Any],
        *,
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "name", check_name(name, "entity"))
        put(self, "keys", Schema(keys, where=f"entity {name!r}, key"))
        put(self, "description", description)
        put(self, "owner", owner)
        put(self, "tags", dict(tags or {}))
        if not self.keys:
            raise DefinitionError(f"entity {name!r} needs at least one join key")
        for key, kind in self.keys.items():
            if kind.kind not in KEY_KINDS:
                raise DefinitionError(
                    f"entity {name!r}: the key {key!r} is {kind}, whose equality is not exact; "
                    f"keys can be {', '.join(sorted(KEY_KINDS))}"
                )

    def __repr__(self) -> str:
        return f"<Entity {self.name}: {', '.join(f'{k} {t}' for k, t in self.keys.items())}>"

    def __hash__(self) -> int:
        return hash((self.name, self.keys))

    def identity(self) -> dict[str, Any]:
        """What can change a value: the keys, in order."""
        return {"name": self.name, "keys": list(self.keys.texts().items())}

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON data."""
        return {
            "name": self.name,
            "keys": list(self.keys.texts().items()),
            "description": self.description,
            "owner": self.owner,
            "tags": dict(self.tags),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Entity:
        """The inverse of :meth:`to_dict`."""
        return cls(
            data["name"],
            dict(data["keys"]),
            description=data["description"],
            owner=data["owner"],
            tags=data["tags"],
        )
