"""XXH64 against the library, at every length that takes another path through the loop."""

from __future__ import annotations

import random

import numpy as np
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from noskew.kernel.hashing import hash_slices, hash_words
from noskew.kernel.ragged import Ragged


def test_every_length_up_to_three_stripes() -> None:
    pieces = [random.randbytes(n) for n in range(100)] + [bytes(1_000), b"\xff" * 1_000]
    ragged = Ragged.from_list(pieces)
    found = hash_slices(ragged.data, ragged.offsets)
    assert found.tolist() == [xxhash.xxh64_intdigest(p, 0) for p in pieces]


@given(st.lists(st.binary(max_size=80), min_size=1))
def test_slices(pieces: list[bytes]) -> None:
    ragged = Ragged.from_list(pieces)
    found = hash_slices(ragged.data, ragged.offsets)
    assert found.tolist() == [xxhash.xxh64_intdigest(p, 0) for p in pieces]


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_words(words: list[int]) -> None:
    found = hash_words(np.array(words, np.uint64))
    expected = [xxhash.xxh64_intdigest(w.to_bytes(8, "little"), 0) for w in words]
    assert found.tolist() == expected
