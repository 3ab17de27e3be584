"""Entities of every kind of join key, and keys of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from noskew.clock import to_datetime
from noskew.definitions.entity import Entity
from noskew.definitions.view import FeatureView

#: Join keys: every kind, alone and together. (1, 23) and (12, 3), ("a", "bc") and ("ab", "c")
#: are among the values, for those who would glue parts together.
ENTITIES: tuple[Entity, ...] = (
    Entity("user", {"user_id": "int64"}),
    Entity("place", {"place": "string"}),
    Entity("pair", {"user_id": "int64", "other_id": "int64"}),
    Entity("route", {"origin": "string", "target": "string"}),
    Entity("device", {"serial": "bytes", "made_on": "date"}),
    Entity("slot", {"shelf": "int8", "open": "bool", "since": "timestamp"}),
    Entity("cell", {"x": "int16", "y": "int32", "label": "string"}),
)
_KEY_PARTS: Mapping[str, tuple[Any, ...]] = {
    "bool": (False, True),
    "int8": (0, -128, 127),
    "int16": (1, 12, -(2**15)),
    "int32": (3, 23, 2**31 - 1),
    "int64": (1, 12, 3, 23, 0, -1, 2**63 - 1, -(2**63)),
    "string": ("a", "ab", "bc", "c", "", "é", "e\u0301", "\U0001f600", "a\x00"),
    "bytes": (b"a", b"ab", b"", b"\x00", b"\xff"),
    "date": (date(1970, 1, 1), date(1969, 12, 31), date(9999, 12, 31)),
    "timestamp": (to_datetime(0), to_datetime(-1), to_datetime(1)),
}


def keys_of(view: FeatureView, *, null: bool = False) -> SearchStrategy[Any]:
    """Keys of a view's entity; ``null``: with null parts, or None."""
    return _keys_of(tuple(kind.kind for kind in view.entity.keys.values()), null)


@cache
def _keys_of(kinds: tuple[str, ...], null: bool) -> SearchStrategy[Any]:
    parts = [
        st.sampled_from([None, *_KEY_PARTS[kind]] if null else _KEY_PARTS[kind]) for kind in kinds
    ]
    return st.tuples(*parts) | st.none() if null else st.tuples(*parts)
