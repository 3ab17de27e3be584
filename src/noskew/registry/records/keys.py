"""Keys of records that belong to a definition."""

from __future__ import annotations

from typing import Protocol, Self

from noskew.addresses import record_key


class _Hashed(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def definition_hash(self) -> str: ...


class DefinitionKey(str):
    """``name:definition_hash``: records of different definitions never mix.

    Raises ValueError for text that has no name or no hash.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        name, _, definition_hash = text.partition(":")
        if not name or not definition_hash:
            raise ValueError(f"expected name:hash, got {text!r}")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, item: _Hashed) -> Self:
        """The key of a feature view, an on-demand function or a service."""
        return cls(record_key(item.name, item.definition_hash))

    @property
    def name(self) -> str:
        """The name of the definition."""
        return self.partition(":")[0]

    @property
    def definition_hash(self) -> str:
        """Its hash."""
        return self.partition(":")[2]
