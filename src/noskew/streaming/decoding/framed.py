"""Framed: messages that begin with the id of the schema they were written with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noskew.errors import SchemaMismatchError
from noskew.streaming.decoding.base import NO_CONTENT, DecodedMessages, Decoder
from noskew.streaming.decoding.schemas import MAX_ID, SchemaRegistry, WrittenSchema
from noskew.types import Schema

#: The first byte of a message, and the bytes of an id.
_MAGIC, _ID_END = 0, 5
#: Bytes of a variable-length integer at most: 32 bits by sevens.
_MOST_VARINT = 5
#: How deep messages may be declared within each other.
_MOST_PATH = 100


@dataclass(frozen=True)
class SchemaHeader:
    """What a message begins with: the schema's id and, for Protobuf, which message of it this is.

    ``path``: the place of the message in its file, then in the message before. ``size``: bytes.
    """

    id: int
    path: tuple[int, ...]
    size: int


def avro_header(text: bytes) -> SchemaHeader:
    """The header of Confluent's wire format. Raises ValueError if there is none."""
    if len(text) < _ID_END or text[0] != _MAGIC:
        raise ValueError("the message does not begin with a schema's id: a byte 0, then 4 bytes")
    number = int.from_bytes(text[1:_ID_END], "big")
    if not 1 <= number <= MAX_ID:
        raise ValueError(f"the message begins with {number}, which is no id of a schema")
    return SchemaHeader(number, (), _ID_END)


def protobuf_header(text: bytes) -> SchemaHeader:
    """The same for Protobuf, where the path of the message follows. ``[0]`` is written as 0."""
    number = avro_header(text).id
    length, at = _varint(text, _ID_END)
    if not 0 <= length <= _MOST_PATH:
        raise ValueError("the header says no message of its schema")
    path = []
    for _ in range(length):
        index, at = _varint(text, at)
        if index < 0:
            raise ValueError("the header says no message of its schema")
        path.append(index)
    return SchemaHeader(number, tuple(path) or (0,), at)


class FramedDecoder:
    """Reads each message by the schema that its header names, asking the registry once for each.

    An id that the registry does not know is a fault of the message; the next batch asks again.
    That the registry does not answer is none: it raises, as Decoder says.

    Parameters
    ----------
    kind, form
        What the registry calls schemas of the format, and how it shall write them.
    header
        Reads a message's header, or raises ValueError.
    make
        The decoder of messages without their headers, or raises SchemaMismatchError.
    """

    def __init__(
        self,
        schema: Schema,
        what: str,
        registry: SchemaRegistry,
        *,
        kind: str,
        form: str = "",
        header: Callable[[bytes], SchemaHeader],
        make: Callable[[WrittenSchema, SchemaHeader], Decoder],
    ) -> None:
        self._schema, self._what, self._registry = schema, what, registry
        self._kind, self._form, self._header, self._make = kind, form, header, make
        self._written: dict[int, WrittenSchema] = {}
        # Only those that can be had: damaged headers are without number.
        self._decoders: dict[SchemaHeader, Decoder] = {}

    def __call__(self, payloads: pa.LargeBinaryArray) -> DecodedMessages:
        common = self._common(payloads)
        groups, bad = ({common: None}, {}) if common else self._grouped(payloads)
        self._ask({header.id for header in groups if header not in self._decoders})
        parts = []
        for header, numbers in groups.items():
            mine = payloads if numbers is None else payloads.take(pa.array(numbers))
            at = np.arange(len(payloads)) if numbers is None else numbers
            try:
                decoded = self._decoder(header)(_without(mine, header.size))
            except SchemaMismatchError as error:
                bad |= dict.fromkeys(at.tolist(), str(error))
                continue
            parts.append((at, decoded))
        return merged(parts, bad, self._schema)

    def _common(self, payloads: pa.LargeBinaryArray) -> SchemaHeader | None:
        """The header of all messages, if it is one: nearly always."""
        if not len(payloads) or payloads.null_count:
            return None
        text = payloads[0].as_py()
        try:
            header = self._header(text)
        except ValueError:
            return None
        is_common = pc.all(pc.starts_with(payloads, text[: header.size])).as_py()
        return header if is_common else None

    def _grouped(
        self, payloads: pa.LargeBinaryArray
    ) -> tuple[dict[SchemaHeader, NDArray[np.int64] | None], dict[int, str]]:
        """Messages (by position) by their headers, and why others have none."""
        by_header, bad = defaultdict(list), {}
        for number, text in enumerate(payloads.to_pylist()):
            try:
                if text is None:
                    raise ValueError(NO_CONTENT)
                by_header[self._header(text)].append(number)
            except ValueError as error:
                bad[number] = f"{self._what}: {error}"
        return {h: np.array(numbers, np.int64) for h, numbers in by_header.items()}, bad

    def _ask(self, ids: Iterable[int]) -> None:
        asked = sorted(set(ids) - self._written.keys())
        if asked:
            answers = self._registry.find(asked, form=self._form)
            self._written |= {i: written for i, written in answers.items() if written is not None}

    def _decoder(self, header: SchemaHeader) -> Decoder:
        if header not in self._decoders:
            written = self._written.get(header.id)
            if written is None:
                raise SchemaMismatchError(
                    f"{self._what}: the schema registry has no schema of the id {header.id}"
                )
            if written.kind != self._kind:
                raise SchemaMismatchError(
                    f"{self._what}: the schema of the id {header.id} is {written.kind}, "
                    f"not {self._kind}"
                )
            self._decoders[header] = self._make(written, header)
        return self._decoders[header]


class MaybeFramed:
    """Protobuf messages of one type, with a registry's header or without.

    No message begins with a byte 0, for no field has the number 0; so what does has a header,
    and what that says does not matter.
    """

    def __init__(self, decode: Decoder) -> None:
        self._decode = decode

    def __call__(self, payloads: pa.LargeBinaryArray) -> DecodedMessages:
        if pc.any(pc.starts_with(payloads, b"\0")).as_py():
            payloads = pa.array(map(_body, payloads.to_pylist()), pa.large_binary())
        return self._decode(payloads)


def merged(
    parts: list[tuple[NDArray[np.int64], DecodedMessages]], bad: dict[int, str], schema: Schema
) -> DecodedMessages:
    """What decoders made of parts of a batch, as if of the whole.

    With each part come the positions of its messages in the batch.
    """
    for at, decoded in parts:
        bad |= {int(at[number]): why for number, why in decoded.bad.items()}
    if len(parts) == 1:
        ((at, only),) = parts
        return DecodedMessages(only.rows, at[only.message], only.place, bad)
    tables = [decoded.rows for _, decoded in parts]
    none = np.zeros(0, np.int64)
    message = np.concatenate([none, *(at[decoded.message] for at, decoded in parts)])
    place = np.concatenate([none, *(decoded.place for _, decoded in parts)])
    order = np.argsort(message, kind="stable")
    rows = pa.concat_tables([schema.arrow.empty_table(), *tables]).take(pa.array(order))
    return DecodedMessages(rows, message[order], place[order], bad)


def _without(payloads: pa.LargeBinaryArray, size: int) -> pa.LargeBinaryArray:
    """Messages without their first bytes."""
    # Arrow counts its buffer wrongly where it is not told an end; this is behind every message.
    return pc.binary_slice(payloads, size, size + payloads.nbytes)


def _body(text: bytes | None) -> bytes | None:
    if text is None or text[:1] != b"\0":
        return text
    try:
        return text[protobuf_header(text).size :]
    except ValueError:
        return text  # it is not a message either, and the decoder says so


def _varint(text: bytes, at: int) -> tuple[int, int]:
    """A zigzag integer of variable length, and where it ends."""
    value = 0
    for i, byte in enumerate(text[at : at + _MOST_VARINT]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at + i + 1
    raise ValueError("the header is truncated")
