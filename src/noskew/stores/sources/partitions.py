"""Folders that are named after a value, as Hive names them: ``year=2024/country=DE``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from noskew.errors import SchemaMismatchError
from noskew.stores.sources.digest import SIZE

#: What writers call the folder of the rows without a value.
_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Partitions:
    """What the folders of a file say of all its rows, in the types that are declared.

    Every folder ``name=value`` on the path as it is given counts, so that a file says the same
    alone and in its folder. Names and values are percent-encoded; types that are not declared are
    text. Raises SchemaMismatchError for a value that is none of its type, and for two values.
    """

    path: Path
    types: Mapping[str, pa.DataType]

    @cached_property
    def texts(self) -> dict[str, str | None]:
        """The values as the folders have them, by the name of the column; None for null."""
        texts: dict[str, str | None] = {}
        for folder in self.path.parent.parts:
            name, equals, value = folder.partition("=")
            if not (name and equals):
                continue
            name, text = unquote(name), None if value == _NULL else unquote(value)
            if texts.setdefault(name, text) != text:
                raise SchemaMismatchError(
                    f"{self.path}: its folders say {texts[name]!r} and {text!r} for {name!r}"
                )
        return texts

    def token(self, own: str) -> str:
        """A token of a file's content, and of what its folders say of declared columns."""
        said = {name: text for name, text in self.texts.items() if name in self.types}
        if not said:
            return own
        whole = f"{own}{sorted(said.items())!r}"
        return hashlib.blake2b(whole.encode(), digest_size=SIZE).hexdigest()

    def column(self, name: str, rows: int) -> pa.Array:
        """The value of a column, as often as there are rows."""
        return pa.repeat(self._value(name), rows)

    def check(self, name: str, column: pa.Array) -> None:
        """Raise SchemaMismatchError if a file's own column says something else than its folder.

        A time in a file may be any of the day that its folder is named after, so times are not
        compared.
        """
        kind = self.types.get(name, pa.string())
        if pa.types.is_timestamp(kind) or not len(column):
            return
        value = self._value(name)
        distinct = pc.unique(column)
        try:
            is_same = len(distinct) == 1 and distinct.cast(kind)[0].equals(value)
        except pa.ArrowException:
            is_same = False
        if not is_same:
            some = distinct.slice(0, 2).to_pylist()  # distinct: one of two is another
            others = [v for v in some if v != value.as_py()]
            raise SchemaMismatchError(
                f"{self.path}: its folder says {name}={self.texts[name]}, but column {name!r} in "
                f"the file has {(others or some)[0]!r}; leave it out of the file, "
                f"or name the folder otherwise"
            )

    def _value(self, name: str) -> pa.Scalar:
        text, kind = self.texts[name], self.types.get(name, pa.string())
        if pa.types.is_timestamp(kind):
            kind = pa.string()  # who reads it knows what texts of times must have
        try:
            return pa.array([text], pa.string()).cast(kind)[0]
        except pa.ArrowException as error:
            raise SchemaMismatchError(
                f"{self.path}: its folder says {name}={text}, and {text!r} is no {kind}, which "
                f"column {name!r} is declared to be"
            ) from error
