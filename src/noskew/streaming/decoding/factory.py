"""Factory: the decoder of a streaming source."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from noskew.definitions.connectors import Kafka, LocalLog, Stream
from noskew.definitions.source import Source
from noskew.errors import ConfigError
from noskew.streaming.decoding.arrow import ArrowDecoder
from noskew.streaming.decoding.base import Decoder
from noskew.streaming.decoding.framed import (
    FramedDecoder,
    MaybeFramed,
    avro_header,
    protobuf_header,
)
from noskew.streaming.decoding.json import JsonDecoder
from noskew.streaming.decoding.schemas import WrittenSchema, registry_of
from noskew.types import Schema


def decoder(source: Source) -> Decoder:
    """What reads the messages of a source's stream.

    Raises ConfigError for a source without a stream, or where the environment does not say which
    schema registry to ask; SchemaMismatchError if its schema= never fits its columns;
    MissingExtraError for a library that is not installed.
    """
    what = f"source {source.name!r}"
    if source.stream is None:
        raise ConfigError(f"{what} has no stream; give it stream=ns.LocalLog() or ns.Kafka(…)")
    # Rows that are pushed have the declared names, and so have the messages that are made of them.
    names = {} if isinstance(source.stream, LocalLog) else source.columns
    return _MAKERS[source.stream.format](source.stream, source.schema, what, names)


_Names = Mapping[str, str]


def _json(stream: Stream, schema: Schema, what: str, names: _Names) -> Decoder:
    del stream
    return JsonDecoder(schema, what, names)


def _arrow(stream: Stream, schema: Schema, what: str, names: _Names) -> Decoder:
    del stream
    return ArrowDecoder(schema, what, names)


def _avro(stream: Stream, schema: Schema, what: str, names: _Names) -> Decoder:
    # Here, for what it imports is of an extra, which a stream of JSON does without.
    from noskew.streaming.decoding.avro import AvroDecoder

    assert isinstance(stream, Kafka)
    if stream.schema:
        return AvroDecoder(schema, what, WrittenSchema("AVRO", stream.schema), names)
    return FramedDecoder(
        schema,
        what,
        registry_of(stream, what),
        kind="AVRO",
        header=avro_header,
        make=lambda written, header: AvroDecoder(
            schema, f"{what}, schema {header.id}", written, names
        ),
    )


def _protobuf(stream: Stream, schema: Schema, what: str, names: _Names) -> Decoder:
    # Here for the same reason.
    from noskew.streaming.decoding.descriptors import indexed_message, named_message
    from noskew.streaming.decoding.protobuf import ProtobufDecoder

    assert isinstance(stream, Kafka)
    if stream.schema:
        written = named_message(stream.schema, stream.message, what)
        return MaybeFramed(ProtobufDecoder(schema, what, written, names))
    return FramedDecoder(
        schema,
        what,
        registry_of(stream, what),
        kind="PROTOBUF",
        form="serialized",
        header=protobuf_header,
        make=lambda written, header: ProtobufDecoder(
            schema,
            at := f"{what}, schema {header.id}",
            indexed_message(written, header.path, at),
            names,
        ),
    )


_MAKERS: Mapping[str, Callable[[Stream, Schema, str, _Names], Decoder]] = {
    "json": _json,
    "arrow": _arrow,
    "avro": _avro,
    "protobuf": _protobuf,
}
