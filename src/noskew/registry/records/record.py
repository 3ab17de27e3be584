"""Records: what rooms remember about a project beside its definitions, each of a declared kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import orjson

from noskew.definitions.identity import canonical_json
from noskew.errors import CorruptDataError, InputError
from noskew.registry.text import storable_text
from noskew.types import check_name

Key = TypeVar("Key", bound=str)
Value = TypeVar("Value")

#: Longest key, in characters.
MAX_KEY = 256


@dataclass(frozen=True, slots=True)
class RecordKind(Generic[Key, Value]):
    """A kind of record: the name that it is stored under, and the types of keys and values.

    All kinds are declared in :mod:`noskew.registry.records.kinds`.

    Attributes
    ----------
    name
        A name as :func:`noskew.types.check_name` wants it. Stored, so never changed.
    key
        ``str``, or a subclass whose constructor raises ValueError for text that is no key.
    value
        A frozen msgspec Struct or dataclass, stored as canonical JSON. A new field needs a
        default, so that records of before can be read.
    """

    name: str
    key: Callable[[str], Key]
    value: type[Value]

    def __post_init__(self) -> None:
        check_name(self.name, "kind of record")

    def check_key(self, key: str) -> str:
        """The key as text. Raises InputError if it cannot be stored."""
        text = storable_text(key, f"the key of a record {self.name!r}")
        if not 0 < len(text) <= MAX_KEY:
            raise InputError(f"the key of a record has 1 to {MAX_KEY} characters, got {len(text)}")
        return text

    def encode(self, key: Key, value: Value) -> str:
        """The value as canonical JSON: equal values give equal text.

        Raises InputError for a value that could not be read back.
        """
        try:
            data = msgspec.to_builtins(value, str_keys=True)
            msgspec.convert(data, self.value, strict=False)
            return canonical_json(data).decode()
        except (TypeError, msgspec.MsgspecError, orjson.JSONEncodeError) as error:
            raise InputError(
                f"the record {self.name} {str(key)!r} cannot be written as JSON: {error}"
            ) from error

    def decode(self, key: str, document: str, recorded_at: int) -> Record[Key, Value]:
        """The inverse of :meth:`encode`.

        Raises CorruptDataError, which names the record, for text of another shape.
        """
        try:
            value = msgspec.json.decode(document, type=self.value)
            return Record(self, self.key(key), value, recorded_at)
        except (msgspec.MsgspecError, ValueError) as error:
            raise CorruptDataError(
                f"the registry's record {self.name} {key!r} is damaged, or of a form that this "
                f"version of noskew does not read ({error}); restore the registry from a backup"
            ) from error


@dataclass(frozen=True, slots=True)
class Record(Generic[Key, Value]):
    """A value under a key of its kind, and when it was recorded (µs)."""

    kind: RecordKind[Key, Value]
    key: Key
    value: Value
    recorded_at: int


#: A kind, a record, of any key and value.
AnyKind = RecordKind[Any, Any]
AnyRecord = Record[Any, Any]
