"""Descriptors: the types of Protobuf messages, from what a registry or a definition holds."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from noskew.errors import SchemaMismatchError, missing_extra
from noskew.streaming.decoding.base import first_line
from noskew.streaming.decoding.schemas import WrittenSchema

try:
    from google.protobuf import (
        any_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
    )
    from google.protobuf.descriptor_pb2 import DESCRIPTOR, FileDescriptorProto, FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import DecodeError
except ImportError as error:
    raise missing_extra("protobuf", "protobuf", "the format protobuf") from error

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

#: Files that come with Protobuf, so that registries and descriptor sets need not hold them.
_KNOWN = {
    file.name: file.serialized_pb
    for file in (
        DESCRIPTOR,
        any_pb2.DESCRIPTOR,
        duration_pb2.DESCRIPTOR,
        empty_pb2.DESCRIPTOR,
        field_mask_pb2.DESCRIPTOR,
        struct_pb2.DESCRIPTOR,
        timestamp_pb2.DESCRIPTOR,
        wrappers_pb2.DESCRIPTOR,
    )
}


def named_message(text: str, name: str, what: str) -> Descriptor:
    """The message of a name in a descriptor set, given in base64.

    Raises SchemaMismatchError, naming what there is, if it is not there.
    """
    try:
        files = FileDescriptorSet.FromString(base64.b64decode(text)).file
    except DecodeError as error:
        raise SchemaMismatchError(
            f"{what}: schema= is no descriptor set; make one by protoc --include_imports "
            f"--descriptor_set_out=…"
        ) from error
    pool = _pool(files, what)
    try:
        return pool.FindMessageTypeByName(name)
    except KeyError:
        known = sorted(f"{f.package}.{m.name}".strip(".") for f in files for m in f.message_type)
        raise SchemaMismatchError(
            f"{what}: no message {name!r} in schema=; there are: {', '.join(known[:12])}"
        ) from None


def indexed_message(written: WrittenSchema, path: Sequence[int], what: str) -> Descriptor:
    """The message of a registry's schema to which a path leads: in the file, then in messages.

    Raises SchemaMismatchError for a path that leads nowhere, or a schema that is no descriptor.
    """
    *_, (_, main) = files = list(_files(written, "", what))
    pool = _pool([file for _, file in files], what)
    try:
        types = [*pool.FindFileByName(main.name).message_types_by_name.values()]
        message = types[path[0]]
        for index in path[1:]:
            message = message.nested_types[index]
    except (IndexError, KeyError) as error:
        raise SchemaMismatchError(
            f"{what}: its header says message {list(path)}, which its schema does not have"
        ) from error
    return message


def _files(
    written: WrittenSchema, name: str, what: str
) -> Iterator[tuple[str, FileDescriptorProto]]:
    """A schema's file after those that it imports, by the names under which they are imported."""
    for imported, reference in written.references.items():
        yield from _files(reference, imported, what)
    try:
        file = FileDescriptorProto.FromString(base64.b64decode(written.text, validate=True))
    except (ValueError, DecodeError) as error:
        raise SchemaMismatchError(
            f"{what}: the registry gives the source of a Protobuf schema and no descriptor "
            f"(it does not know format=serialized); give ns.Kafka(…, schema=…, message=…)"
        ) from error
    file.name = name or file.name or "schema.proto"
    yield file.name, file


def _pool(files: Iterable[FileDescriptorProto], what: str) -> DescriptorPool:
    pool = DescriptorPool()
    given = {file.name: file for file in files}
    added: set[str] = set()

    def add(name: str) -> None:
        if name in added:
            return
        added.add(name)
        if name not in given and name not in _KNOWN:
            raise SchemaMismatchError(f"{what}: its Protobuf schema imports {name!r}, not given")
        if name not in given:
            for dependency in FileDescriptorProto.FromString(_KNOWN[name]).dependency:
                add(dependency)
            pool.AddSerializedFile(_KNOWN[name])
            return
        for dependency in given[name].dependency:
            add(dependency)
        pool.AddSerializedFile(given[name].SerializeToString())

    try:
        for name in given:
            add(name)
    except TypeError as error:
        raise SchemaMismatchError(
            f"{what}: no valid Protobuf schema: {first_line(error)}"
        ) from error
    return pool
