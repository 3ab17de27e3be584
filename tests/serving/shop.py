"""A project with features of every type, every status, and on-demand functions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import noskew as ns
from noskew.clock import FixedClock

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOW = NOON + timedelta(minutes=10)

KINDS = {
    "f64": "float64",
    "f32": "float32",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "flag": "bool",
    "text": "string",
    "raw": "bytes",
    "moment": "timestamp",
    "day": "date",
    "price": "decimal(20, 4)",
    "floats": "list<float64>",
    "words": "list<string>",
    "blobs": "list<bytes>",
    "embedding": "vector<float32, 3>",
}
ITEM = ns.Entity("item", {"id": str})
SHELF = ns.Entity("shelf", {"row": "int32", "place": "int64"})
ITEMS = ns.Source(
    "items",
    {"id": str, "row": "int32", "place": "int64", "at": "timestamp", **KINDS},
    event_time="at",
)
LATEST = ns.FeatureView(
    "latest", entity=ITEM, source=ITEMS, features=list(KINDS), description="Of <every> type."
)
NUMBERS = ns.FeatureView(
    "numbers",
    entity=ITEM,
    source=ITEMS,
    features=[ns.latest(n, name=f"n_{n}") for n in ("f64", "f32", "i8", "i16", "i32", "i64")],
)
AGED = ns.FeatureView(
    "aged",
    entity=ITEM,
    source=ITEMS,
    max_age="1h",
    features=[ns.latest("f64", name="fresh"), ns.latest("text", name="fresh_text")],
)
WATCHED = ns.FeatureView(
    "watched",
    entity=ITEM,
    source=ITEMS,
    freshness="1min",
    features=[ns.latest("i64", name="watched_i64")],
)
WINDOWS = ns.FeatureView(
    "windows",
    entity=ITEM,
    source=ITEMS,
    features=[
        ns.count(window="1h", name="events"),
        ns.mean("f64", window="1h", name="mean"),
        ns.sum("i64", window="1d", name="sum"),
        ns.min("text", window="1d", name="first_text"),
        ns.last_n("f64", 3, window="1d", name="last3"),
    ],
)
SHELVES = ns.FeatureView(
    "shelves", entity=SHELF, source=ITEMS, features=[ns.latest("text", name="label")]
)
EVERYTHING = ns.FeatureService(
    "everything", [LATEST, AGED, WATCHED, WINDOWS], description="All of it.", owner="us"
)
PLAIN = ns.FeatureService("plain", [NUMBERS], full_names=True)
PLACES = ns.FeatureService("places", [SHELVES, LATEST["text"]])

#: Rows of items: ordinary, strange but valid, null throughout, and old.
IDS = ["a", "strange", "nulls", "old", ""]
#: What is asked for: all of them, one never seen, a null key, and one twice.
ASKED = [*IDS, "never seen", None, "a"]


def items() -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "f64": 1.5,
            "f32": 0.1,
            "i8": 1,
            "i16": -2,
            "i32": 3,
            "i64": -4,
            "flag": True,
            "text": "null",
            "raw": b"\x00\xff",
            "moment": NOON,
            "day": date(2024, 2, 29),
            "price": Decimal("12.5000"),
            "floats": [1.0, None, -0.0],
            "words": ["", "é", None],
            "blobs": [b"", b"\xfe"],
            "embedding": [0.1, -0.0, 3.0],
        },
        {
            "f64": float("nan"),
            "f32": float("-inf"),
            "i8": -128,
            "i16": 32_767,
            "i32": -(1 << 31),
            "i64": (1 << 63) - 1,
            "flag": False,
            "text": "",
            "raw": b"",
            "moment": datetime(1, 1, 1, tzinfo=UTC),
            "day": date(9999, 12, 31),
            "price": Decimal("-9999999999999999.9999"),
            "floats": [float("inf"), float("nan")],
            "words": [],
            "blobs": [None],
            "embedding": [float("nan"), float("inf"), 1e-45],
        },
        dict.fromkeys(KINDS),
        {**dict.fromkeys(KINDS), "f64": -0.0, "text": "old", "i64": 7},
        {
            **dict.fromkeys(KINDS),
            "f64": 5e-324,
            "f32": 1.17549435e-38,
            "i64": -(1 << 63),
            "text": '\u2028"\\ \U0001f6d2\x00',
            "price": Decimal("0.0000"),
            "moment": datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        },
    ]
    times = [NOON, NOON, NOON, NOON - timedelta(days=2), NOON]
    full = [
        {"id": i, "row": n, "place": -n, "at": t, **row}
        for n, (i, t, row) in enumerate(zip(IDS, times, rows, strict=True))
    ]
    return pa.Table.from_pylist(full, schema=ITEMS.schema.arrow)


FUNCTIONS = '''
from __future__ import annotations

import numpy as np


def judged(given):
    """Every request field back, and a sum with a stored feature."""
    return {
        "total": given["n_f64"] + given["weight"],
        "note_back": given["note"],
        "data_back": given["data"],
        "when_back": given["when"],
        "on_back": given["on"],
        "cost_back": given["cost"],
        "parts_back": given["parts"],
    }
'''
REQUEST = {
    "weight": "float64",
    "note": "string",
    "data": "bytes",
    "when": "timestamp",
    "on": "date",
    "cost": "decimal(10, 2)",
    "parts": "list<float64>",
}
GIVEN = {
    "weight": [1.0, float("nan"), None, float("-inf"), -0.0],
    "note": ["x", "", None, "NaN", "é"],
    "data": [b"\x00", b"", None, b"\xff\xfe", b"abc"],
    "when": [NOON, None, NOON, NOON, NOON],
    "on": [date(2024, 1, 1), None, date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)],
    "cost": [Decimal("1.50"), None, Decimal("-0.01"), Decimal("0.00"), Decimal("99999999.99")],
    "parts": [[1.0, None], [], None, [float("nan"), -0.0], [float("inf")]],
}


def judged_service(root: Path, monkeypatch: Any) -> ns.FeatureService:
    """A service with an on-demand function, whose module lies in the project."""
    import importlib
    import sys

    (root / "shop_functions.py").write_text(FUNCTIONS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(root))
    sys.modules.pop("shop_functions", None)
    function = importlib.import_module("shop_functions").judged
    outputs = {"total": "float64"} | {f"{n}_back": k for n, k in REQUEST.items() if n != "weight"}
    judged = ns.OnDemand(
        "judged", function, inputs=[NUMBERS["n_f64"]], request=REQUEST, outputs=outputs
    )
    return ns.FeatureService("judged_items", [NUMBERS["n_i64"], judged])


def filled(root: Path, *services: ns.FeatureService) -> ns.FeatureStore:
    """The store of a project in ``root``, applied, ingested and materialized; as of NOW."""
    store = ns.FeatureStore(root, clock=FixedClock(NOON + timedelta(minutes=1)))
    store.apply(services or (EVERYTHING, PLAIN, PLACES))
    store.ingest("items", items())
    store.materialize()
    store.clock = FixedClock(NOW)
    return store


def bits(table: pa.Table) -> list[Any]:
    """The content of a table such that equal means equal bits, but that any NaN equals any."""
    return [
        (name, str(c.type), _bits(c.combine_chunks()))
        for name, c in zip(table.column_names, table.columns, strict=True)
    ]


def _bits(column: pa.Array) -> Any:
    kind = column.type
    if pa.types.is_floating(kind):
        values = column.fill_null(0).to_numpy(zero_copy_only=False)
        values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)
        words = values.view(np.uint64 if values.itemsize == 8 else np.uint32).tolist()
        return list(zip(column.is_valid().to_pylist(), words, strict=True))
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return [None if not v.is_valid else _bits(v.values) for v in column]
    return column.to_pylist()
