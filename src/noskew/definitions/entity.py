"""Entity: the thing that features describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noskew.definitions.declared import Converted, option
from noskew.definitions.described import Described
from noskew.errors import DefinitionError
from noskew.types import Schema

#: Types whose equality is exact and the same everywhere; floats and nested types are not.
KEY_KINDS = frozenset(
    {"bool", "int8", "int16", "int32", "int64", "string", "bytes", "date", "timestamp"}
)


def _keys(entity: Entity, given: Mapping[str, Any]) -> Schema:
    return Schema(given, where=f"{entity.what}, key")


class Entity(Described):
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

    noun = "entity"

    keys: Converted[Mapping[str, Any], Schema] = option(kw_only=False, convert=_keys)

    def _check(self) -> None:
        if not self.keys:
            raise DefinitionError(f"{self.what} needs at least one join key")
        for key, kind in self.keys.items():
            if kind.kind not in KEY_KINDS:
                raise DefinitionError(
                    f"{self.what}: the key {key!r} is {kind}, whose equality is not exact; "
                    f"keys can be {', '.join(sorted(KEY_KINDS))}"
                )

    def __repr__(self) -> str:
        return f"<Entity {self.name}: {', '.join(f'{k} {t}' for k, t in self.keys.items())}>"

    def identity(self) -> dict[str, Any]:
        """What can change a value: the keys, in order."""
        return {"name": self.name, "keys": self.keys.pairs()}

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON data."""
        return {**self.identity(), **self.documentation()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Entity:
        """The inverse of :meth:`to_dict`."""
        return cls(**{**data, "keys": dict(data["keys"])})
