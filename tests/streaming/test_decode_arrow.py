"""Arrow messages: many rows each, read whole or not at all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from noskew.intake.messages import encode_arrow
from noskew.streaming.decoding.arrow import ArrowDecoder
from noskew.types import Schema
from tests.streaming.decoders import check_by_itself, damaged, payloads

SMALL = Schema({"user": int, "at": "timestamp"})
DECODE = ArrowDecoder(SMALL, "source 's'")


def rows(*users: int | None) -> pa.Table:
    return pa.table(
        {
            "user": pa.array(users, pa.int64()),
            "at": pa.array([0] * len(users), pa.timestamp("us", "UTC")),
        }
    )


def test_a_message_holds_many_rows() -> None:
    two = rows(1, None)
    made = DECODE(payloads(encode_arrow(two), encode_arrow(rows()), encode_arrow(two)))
    assert made.rows.equals(pa.concat_tables([two, two]))
    assert made.message.tolist() == [0, 0, 2, 2]
    assert made.place.tolist() == [0, 1, 0, 1]
    assert made.bad == {}


def test_a_message_is_read_whole_or_not_at_all() -> None:
    good = encode_arrow(rows(1))
    other = encode_arrow(pa.table({"user": ["x"], "at": pa.array([0], pa.timestamp("us", "UTC"))}))
    made = DECODE(
        payloads(
            b"",
            other,
            good[:-30],
            None,
            good,
            encode_arrow(pa.table({"user": [1]})),
            good[: len(good) // 2],
        )
    )
    assert made.message.tolist() == [4]
    assert sorted(made.bad) == [0, 1, 2, 3, 5, 6]
    assert "expected int64" in made.bad[1]
    assert "without content" in made.bad[3]


def test_random_bytes_never_crash_it() -> None:
    good = encode_arrow(rows(1, 2))
    random = np.random.default_rng(7)
    texts = []
    for _ in range(300):
        copy = bytearray(good)
        for at in random.integers(0, len(copy), 3):
            copy[at] = random.integers(256)
        texts.append(bytes(copy))
    made = DECODE(payloads(*texts))
    assert set(made.bad) | set(made.message.tolist()) == set(range(300))


users = st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.none(), max_size=3)


@given(st.lists(damaged(users.map(lambda u: encode_arrow(rows(*u)))), max_size=6))
def test_what_a_message_gives_does_not_depend_on_those_around_it(
    texts: list[bytes | None],
) -> None:
    check_by_itself(DECODE, texts)
