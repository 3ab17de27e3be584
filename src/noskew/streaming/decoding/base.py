"""What decoders of every format share: from the messages of a log to rows of a source's schema."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noskew.intake.bisect_failures import bisect_failures
from noskew.types import Schema

NO_CONTENT = "a message without content"


@dataclass(frozen=True)
class DecodedMessages:
    """Rows in the order of their messages.

    Attributes
    ----------
    rows
        A table of the source's schema.
    message
        int64, shape (rows,), ascending: the message (by position in the batch) of each row.
    place
        int64, shape (rows,): which row of its message it is, from 0.
    bad
        For each message (by position) that could not be read, why. None of its rows is there.
    """

    rows: pa.Table
    message: NDArray[np.int64]
    place: NDArray[np.int64]
    bad: Mapping[int, str] = field(default_factory=dict)


class Decoder(Protocol):
    """Reads messages of one format. Which message is bad does not depend on the others.

    A message that cannot be read never raises. A schema registry that cannot be asked does:
    StoreUnavailableError, or ConfigError where a retry cannot help. That is no fault of the
    messages, and the same call may read them later.
    """

    def __call__(self, payloads: pa.LargeBinaryArray) -> DecodedMessages: ...


class RowDecoder(ABC):
    """A decoder of messages that are one row each.

    A subclass sets ``_parse``, which makes an item of a message or raises one of ``faults``, and
    defines ``_table``. Both are first tried on the whole batch, since nearly always nothing is
    wrong; only then on parts of it, until each message at fault stands alone.
    """

    faults: ClassVar[tuple[type[Exception], ...]]
    _parse: Callable[[bytes], Any]

    def __init__(self, schema: Schema, what: str, names: Mapping[str, str] | None = None) -> None:
        self._schema, self._what = schema, what
        #: What messages call each column.
        self._theirs = {name: (names or {}).get(name, name) for name in schema}

    def __call__(self, payloads: pa.LargeBinaryArray) -> DecodedMessages:
        items, message, bad = self._parsed(payloads)
        done = bisect_failures(lambda start, end: self._table(items[start:end]), len(items))
        bad |= {int(message[row]): why for row, why in done.bad.items()}
        message = np.delete(message, list(done.bad))
        tables = [table for _, _, table in done.parts]
        rows = pa.concat_tables(tables) if tables else self._schema.arrow.empty_table()
        return DecodedMessages(rows, message, np.zeros(len(rows), np.int64), bad)

    @abstractmethod
    def _table(self, items: Sequence[Any]) -> pa.Table:
        """The rows of parsed messages; raises SchemaMismatchError if any does not fit."""

    def _why(self, error: Exception) -> str:
        """What is wrong with a message that could not be parsed."""
        return first_line(error)

    def _parsed(
        self, payloads: pa.LargeBinaryArray
    ) -> tuple[list[Any], NDArray[np.int64], dict[int, str]]:
        """The items, the message (by position) of each, and why the others hold none."""
        texts = payloads.to_pylist()
        if not payloads.null_count:
            try:
                return list(map(self._parse, texts)), np.arange(len(texts)), {}
            except self.faults:
                pass
        items, message, bad = [], [], {}
        for number, text in enumerate(texts):
            if text is None:
                bad[number] = f"{self._what}: {NO_CONTENT}"
                continue
            try:
                items.append(self._parse(text))
                message.append(number)
            except self.faults as error:
                bad[number] = f"{self._what}: {self._why(error)}"
        return items, np.array(message, np.int64), bad


def first_line(error: Exception) -> str:
    """What an error says, without the detail that libraries add below."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
