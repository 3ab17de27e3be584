"""What the tests of every message format share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from noskew.streaming.decoding.base import DecodedMessages, Decoder


def payloads(*texts: bytes | None) -> pa.LargeBinaryArray:
    return pa.array(texts, pa.large_binary())


def check_by_itself(decode: Decoder, texts: Sequence[bytes | None]) -> DecodedMessages:
    """What a message gives, rows or a reason, does not depend on those around it."""
    whole = decode(payloads(*texts))
    assert whole.rows.column_names == decode(payloads()).rows.column_names
    assert len(whole.rows) == len(whole.message) == len(whole.place)
    assert (np.diff(whole.message) >= 0).all()
    for number, text in enumerate(texts):
        alone = decode(payloads(text))
        mine = whole.message == number
        assert whole.rows.filter(pa.array(mine)).equals(alone.rows)
        assert whole.place[mine].tolist() == alone.place.tolist()
        assert whole.bad.get(number) == alone.bad.get(0)
        assert (number in whole.bad) <= (not mine.any())
    return whole


@st.composite
def damaged(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes | None:
    """A message as it should be, or cut, with other bytes in it, prolonged, foreign or absent."""
    text = draw(good)
    match draw(st.sampled_from(["good", "good", "cut", "flip", "longer", "foreign", "none"])):
        case "cut":
            return text[: draw(st.integers(0, len(text)))]
        case "flip":
            copy = bytearray(text)
            for at in draw(st.lists(st.integers(0, max(len(text) - 1, 0)), max_size=3)):
                if copy:
                    copy[at] = draw(st.integers(0, 255))
            return bytes(copy)
        case "longer":
            return text + draw(st.binary(min_size=1, max_size=4))
        case "foreign":
            return draw(st.binary(max_size=20))
        case "none":
            return None
    return text
