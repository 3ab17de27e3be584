"""Key bytes: the documented vectors, one key one encoding, and the same by every path."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from noskew.errors import KeyTypeError
from noskew.kernel.keys import (
    MAX_ENCODED,
    buckets_of,
    encode_columns,
    encode_integers,
    encode_key,
    encode_part,
    integers,
    part_converter,
)
from noskew.kernel.ragged import Ragged
from noskew.testing.strategies import ENTITIES
from noskew.types import DType, dtype

VECTORS = [
    ((1, 23), "0101 0117"),
    ((12, 3), "010c 0103"),
    (("JFK",), "034a464b"),
    (("",), "00"),
    ((-129, "é"), "02ff7f 02c3a9"),
    ((0,), "0100"),
    ((-1,), "01ff"),
    ((127,), "017f"),
    ((128,), "020080"),
    ((-128,), "0180"),
    ((2**63 - 1,), "087fffffffffffffff"),
    ((-(2**63),), "088000000000000000"),
    ((b"\x00\xff",), "0200ff"),
    (("x" * 127,), "7f" + "78" * 127),
    (("x" * 128,), "8001" + "78" * 128),
    (("x" * 478,), "de03" + "78" * 478),
]
parts = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.sampled_from([0, -1, 127, 128, -128, -129, "", b"", "\x00", "a" * 127, "a" * 128]),
)
#: Texts around the lengths at which something changes.
texts = st.one_of(
    st.text(max_size=4),
    st.sampled_from(
        ["é" * n for n in (63, 64, 239, 240)] + ["a" * n for n in (126, 127, 128, 478, 479, 2**14)]
    ),
)


@pytest.mark.parametrize(("key", "expected"), VECTORS)
def test_documented_vectors(key: tuple[Any, ...], expected: str) -> None:
    assert encode_key(key).hex() == expected.replace(" ", "")


def decode(raw: bytes) -> list[bytes]:
    """The parts of a key's bytes, read as the format is documented."""
    found, at = [], 0
    while at < len(raw):
        size, shift = 0, 0
        while True:
            byte = raw[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        found.append(raw[at : at + size])
        assert len(found[-1]) == size
        at += size
    return found


@given(st.lists(parts, min_size=1, max_size=4))
@example(["a" * 127] * 4)  # 512 bytes: shortened, though no part is long
@example(["a" * 127, "a" * 127, "a" * 127, "a" * 95])  # 480 bytes, the most that a key has
@example(["a" * 127, "a" * 127, "a" * 127, "a" * 96])
def test_the_parts_of_a_key_can_be_read_back(key: list[Any]) -> None:
    """From its bytes, or from those that its digest stands for."""
    whole = b"".join(encode_part(part) for part in key)
    digest = b"\xff\x7f" + hashlib.blake2b(whole, digest_size=32).digest()
    assert encode_key(key) == (whole if len(whole) <= 480 else digest)
    back = decode(whole)
    assert len(back) == len(key)
    for part, raw in zip(key, back, strict=True):
        if isinstance(part, int):
            assert int.from_bytes(raw, "big", signed=True) == part
        else:
            assert raw == (part if isinstance(part, bytes) else part.encode())


@given(st.lists(parts, min_size=2, max_size=2), st.lists(parts, min_size=2, max_size=2))
@example([1, 23], [12, 3])
@example(["a", "bc"], ["ab", "c"])
@example(["", "a"], ["a", ""])
def test_different_keys_are_different_bytes(a: list[Any], b: list[Any]) -> None:
    """Of keys of the same types: a string and the same bytes are not told apart."""
    same_types = all(type(x) is type(y) for x, y in zip(a, b, strict=True))
    if same_types:
        assert (encode_key(a) == encode_key(b)) == (a == b)


def test_long_keys_are_digests_that_no_short_key_can_be() -> None:
    edge, long = ("x" * 478,), ("x" * 479,)
    assert len(encode_key(edge)) == MAX_ENCODED
    found = encode_key(long)
    assert found == b"\xff\x7f" + hashlib.blake2b(b"\xdf\x03" + b"x" * 479, digest_size=32).digest()
    # The two bytes say a part of 16,383 bytes, which is itself too long to be written out.
    assert encode_key(("x" * 16_383,)) != b"\xff\x7f" + b"x" * 16_383
    assert encode_key(("a" * 300, "b" * 300)) != encode_key(("a" * 301, "b" * 299))


@given(st.data())
def test_columns_encode_as_keys_do(data: st.DataObject) -> None:
    entity = data.draw(st.sampled_from(ENTITIES))
    kinds = list(entity.keys.values())
    cells = {
        "bool": st.booleans(),
        "string": texts,
        "bytes": texts.map(str.encode),
        "date": st.dates(),
        "timestamp": st.datetimes(timezones=st.just(UTC)),
        **{f"int{n}": st.integers(-(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (8, 16, 32, 64)},
    }
    row = st.tuples(*(st.none() | cells[k.kind] for k in kinds))
    rows = data.draw(st.lists(row, max_size=6))
    columns = [pa.array([r[i] for r in rows], kind.to_arrow()) for i, kind in enumerate(kinds)]
    sliced = [pa.concat_arrays([c.slice(0, 1), c]).slice(min(1, len(c))) for c in columns]
    for given_columns in (columns, sliced):
        raw, valid = encode_columns(given_columns)
        assert encode_columns(given_columns, b"view")[0].to_list() == [
            b"view" + key for key in raw.to_list()
        ]
        for found, ok, key in zip(raw.to_list(), valid, rows, strict=True):
            assert ok == (None not in key)
            if ok:
                converters = [part_converter(k, "k") for k in kinds]
                assert found == encode_key([c(v) for c, v in zip(converters, key, strict=True)])


def test_a_prefix_is_no_part_of_a_long_key() -> None:
    # The first is as long as a key may be, and only longer with the prefix.
    for parts in (["x" * (MAX_ENCODED - 2), "x" * 1_000], ["x" * 1_000, "short"]):
        found, _ = encode_columns([pa.array(parts)], b"p" * 8)
        assert found.to_list() == [b"p" * 8 + encode_key([part]) for part in parts]


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.binary(max_size=9))
def test_integers_behind_a_prefix(numbers: list[int], prefix: bytes) -> None:
    found = encode_integers(np.array(numbers, np.int64), prefix)
    assert found == [prefix + encode_key([n]) for n in numbers]


def test_buckets_are_xxh64_of_the_key() -> None:
    keys = [encode_key([n]) for n in range(100)] + [encode_key(["x" * n]) for n in range(100)]
    for buckets in (1, 7, 64):
        expected = [xxhash.xxh64_intdigest(k, 0) % buckets for k in keys]
        assert buckets_of(Ragged.from_list(keys), buckets).tolist() == expected


def test_null_parts_and_empty_tables() -> None:
    raw, valid = encode_columns([pa.array([], pa.int64()), pa.array([], pa.string())])
    assert len(raw) == len(valid) == 0
    raw, valid = encode_columns([pa.array([None, None], pa.string())])
    assert valid.tolist() == [False, False]


def test_integers_of_every_kind_that_is_one() -> None:
    moments = pa.array([-1, None], pa.timestamp("us", "UTC"))
    assert integers(moments).tolist() == [-1, 0]
    assert integers(pa.array([date(1970, 1, 2), None])).tolist() == [1, 0]
    assert integers(pa.array([True, None, False])).tolist() == [1, 0, 0]
    assert integers(pa.array([-128, None], pa.int8())).tolist() == [-128, 0]


GOOD = [
    ("int64", 5, 5),
    ("int64", np.int32(5), 5),
    ("int64", -(2**63), -(2**63)),
    ("int8", -128, -128),
    ("int64", 1.0, 1),
    ("int64", -0.0, 0),
    ("int64", -(2.0**63), -(2**63)),
    ("int8", np.float32(127), 127),
    ("bool", True, 1),
    ("bool", np.bool_(False), 0),
    ("string", "", ""),
    ("string", np.str_("a"), "a"),
    ("bytes", b"", b""),
    ("date", date(1970, 1, 1), 0),
    ("date", "1969-12-31", -1),
    ("date", date(9999, 12, 31), 2_932_896),
    ("timestamp", datetime(1970, 1, 1, 0, 0, 1), 1_000_000),
    ("timestamp", "1970-01-01T01:00:00+01:00", 0),
]
BAD = [
    ("int64", 1.5),
    ("int64", 2.0**63),
    ("int8", 128.0),
    ("int64", float("inf")),
    ("int64", "1"),
    ("int64", True),
    ("int64", None),
    ("int64", 2**63),
    ("int8", 128),
    ("int8", -129),
    ("bool", 1),
    ("bool", "true"),
    ("string", b"a"),
    ("string", 1),
    ("bytes", "a"),
    ("bytes", bytearray(b"a")),
    ("date", datetime(1970, 1, 1)),
    ("date", "yesterday"),
    ("date", 0),
    ("timestamp", date(1970, 1, 1)),
    ("timestamp", 0),
    ("int64", float("nan")),
    ("int64", np.bool_(True)),
]


@pytest.mark.parametrize(("kind", "value", "expected"), GOOD)
def test_values_that_are_key_parts(kind: str, value: Any, expected: Any) -> None:
    found = part_converter(dtype(kind), "k")(value)
    assert found == expected
    assert type(found) in (int, str, bytes)


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_values_that_are_not(kind: str, value: Any) -> None:
    with pytest.raises(KeyTypeError, match=rf"'k' must be {kind}, got {type(value).__name__}"):
        part_converter(dtype(kind), "k")(value)


def test_long_offenders_are_cut_in_the_message() -> None:
    with pytest.raises(KeyTypeError) as caught:
        part_converter(DType("int64"), "k")("x" * 10_000)
    assert len(str(caught.value)) < 200
