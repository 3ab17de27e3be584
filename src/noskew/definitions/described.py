"""Described: what all definitions have, a name and what people say about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from noskew.definitions.declared import Declared, option
from noskew.types import check_name


def _name(definition: Described, given: str) -> str:
    return check_name(given, definition.noun)


def _copied(definition: Described, given: Mapping[str, str] | None) -> Mapping[str, str]:
    del definition
    return dict(given or {})


class Described(Declared):
    """A definition: an entity, source, feature view, on-demand function or feature service.

    Parameters
    ----------
    name
        An identifier, unique in the project among definitions of its kind.
    description, owner, tags
        For people; not part of the identity.
    """

    #: What one is called in sentences.
    noun: ClassVar[str] = "definition"

    name: str = option(kw_only=False, convert=_name)
    description: str = ""
    owner: str = ""
    # Not Converted: mypy forgets what an inherited field of a frozen class is converted to.
    tags: Mapping[str, str] = option(default_factory=dict, convert=_copied)

    @property
    def what(self) -> str:
        """What errors call it: ``feature view 'delays'``."""
        return f"{self.noun} {self.name!r}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Described) or type(self) is not type(other):
            return NotImplemented
        compared = self._form.compared
        return bool(compared(self) == compared(other))

    def __hash__(self) -> int:
        return hash((self.noun, self.name))

    def identity(self) -> dict[str, Any]:
        """What can change a value, as JSON data: this is hashed."""
        raise NotImplementedError

    def documentation(self) -> dict[str, Any]:
        """What is for people, as JSON data; no part of the identity."""
        return {"description": self.description, "owner": self.owner, "tags": dict(self.tags)}

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON data. Registries hold it, so each class writes out what is in it."""
        raise NotImplementedError
