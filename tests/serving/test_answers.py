"""What is served equals what a reader in process gives, bit for bit, in every form."""

from __future__ import annotations

import asyncio
import base64
import math
import struct
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.clock import to_datetime, to_micros, to_text
from noskew.serving.http.json_answer import dumps_times, dumps_values
from noskew.types import DType
from noskew.wire import status
from noskew.wire.media_types import ARROW
from noskew.wire.online_features import OnlineFeatures
from tests.serving import shop
from tests.serving.conftest import Served

_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
MANY = {"id": shop.ASKED * 7}
CASES: list[tuple[str, dict[str, list[Any]]]] = [
    ("everything", {"id": shop.ASKED}),
    ("everything", MANY),
    ("everything", {"id": ["a"]}),
    ("everything", {"id": []}),
    ("plain", {"id": ["a"]}),
    ("plain", {"id": ["strange", "a"]}),
    ("plain", {"id": ["nulls"]}),
    ("plain", {"id": ["a"] * 20}),
    ("plain", {"id": ["a", "strange"] * 20}),
    ("plain", MANY),
    ("plain", {"id": [None]}),
    (
        "places",
        {"row": [0, 0, None, 3, 3], "place": [0, -1, 0, -3, None], "id": ["a", "a", "x", None, ""]},
    ),
    ("judged_items", {"id": ["a", "strange", "nulls", None, "old"], **shop.GIVEN}),
]
names = [
    f"{service}-{len(next(iter(rows.values())))}-{i}" for i, (service, rows) in enumerate(CASES)
]


@pytest.mark.parametrize(("service", "rows"), CASES, ids=names)
def test_a_client_gives_what_the_reader_in_process_gives(served: Served, service: str, rows: Any):
    here = served.store.get_online_features(service, dict(rows))
    with ns.Client(served.url) as client:
        there = client.get_online_features(service, dict(rows))
    assert_same(there, here)


@pytest.mark.parametrize(("service", "rows"), CASES, ids=names)
def test_json_can_be_read_back_to_the_same_bits(served: Served, service: str, rows: Any):
    here = served.store.get_online_features(service, dict(rows))
    answer = httpx.post(
        f"{served.url}/features/{service}?metadata=full", content=as_json({"rows": rows})
    )
    assert answer.status_code == 200, answer.text
    data = answer.json()
    assert list(data) == ["service", "t", "features", "statuses", "event_times", "versions"]
    assert data["service"] == service
    assert to_micros(data["t"]) == here.t
    schema = {c.name: c.dtype for c in served.store.applied.project.service(service).columns}
    back = {n: column(data["features"][n], kind) for n, kind in schema.items()}
    assert list(data["features"]) == list(here.feature_names)
    assert shop.bits(pa.table(back)) == shop.bits(here.to_arrow())
    n = len(here)
    assert {k: [v] * n if isinstance(v, str) else v for k, v in data["statuses"].items()} == (
        here.statuses()
    )
    assert data["event_times"] == {
        view: [None if t is None else to_text(to_micros(t)) for t in times]
        for view, times in here.event_times().items()
    }
    assert data["versions"] == {
        view: [
            None if v is None else {"known_time": to_text(v[0]), "number": v[1]} for v in versions
        ]
        for view, versions in here.versions().items()
    }


def test_every_status_but_masked_was_among_the_cases(served: Served):
    seen = {
        s
        for service, rows in CASES
        for names in served.store.get_online_features(service, dict(rows)).statuses().values()
        for s in names
    }
    assert seen == set(status.NAMES) - {"MASKED"}


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": "a"}, {"id": None}, {"id": "strange"}],
        pa.table({"id": ["a", None, "strange"]}),
        pa.table({"id": pa.array(["a", None, "strange"]).dictionary_encode()}),
        pd.DataFrame({"id": ["a", None, "strange"]}),
        {"id": np.array(["a", None, "strange"], object)},
        {"id": pa.array(["a", None, "strange"])},
        {"id": ("a", None, "strange")},
        {"id": [None, None]},
        [],
    ],
    ids=lambda rows: type(rows).__name__,
)
def test_rows_may_have_every_form_that_they_may_have_in_process(served: Served, rows: Any):
    here = served.store.get_online_features("plain", rows)
    with ns.Client(served.url) as client:
        assert_same(client.get_online_features("plain", rows), here)


def test_keys_may_be_numpy_scalars(served: Served):
    rows = {"row": [np.int32(0), 3], "place": [0, np.int64(-3)], "id": ["a", "a"]}
    here = served.store.get_online_features("places", rows)
    with ns.Client(served.url) as client:
        assert client.get_online_features("places", rows).to_arrow() == here.to_arrow()
    assert here.to_dict()["label"] == ["null", "old"]


def test_the_async_client_gives_the_same(served: Served):
    here = served.store.get_online_features("everything", {"id": shop.ASKED})

    async def ask() -> tuple[list[OnlineFeatures], Any, Any]:
        async with ns.AsyncClient(served.url) as client:
            asked = [client.get_online_features("everything", {"id": shop.ASKED}) for _ in range(5)]
            answers = await asyncio.gather(*asked)
            return list(answers), await client.services(), await client.service("plain")

    answers, listed, described = asyncio.run(ask())
    for there in answers:
        assert_same(there, here)
    with ns.Client(served.url) as client:
        assert (client.services(), client.service("plain")) == (listed, described)


def test_json_rows_may_be_a_list_of_rows(served: Served):
    columns = {"id": ["a", "nulls"], **{n: v[:2] for n, v in shop.GIVEN.items()}}
    listed = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    url = f"{served.url}/features/judged_items"
    answers = [httpx.post(url, content=as_json({"rows": rows})) for rows in (columns, listed)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].status_code == 200


def test_arrow_says_what_it_holds(served: Served):
    answer = httpx.post(
        f"{served.url}/features/plain",
        json={"rows": {"id": ["a", "x"]}},
        headers={"accept": f"text/html, {ARROW};q=0.9"},
    )
    assert answer.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(answer.content).read_all()
    features = [f"numbers__n_{n}" for n in ("f64", "f32", "i8", "i16", "i32", "i64")]
    assert table.column_names == [
        *features,
        *(f"{f}__status" for f in features),
        *(f"numbers__{n}" for n in ("event_time", "known_time", "number")),
    ]
    told = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
    assert told["noskew.service"] == "plain"
    assert orjson.loads(told["noskew.statuses"]) == list(status.NAMES)
    assert table.column(6).to_pylist() == [status.PRESENT, status.MISSING]


def test_answers_are_as_of_the_servers_clock(served: Served):
    answer = httpx.post(f"{served.url}/features/plain", json={"rows": {"id": ["a"]}}).json()
    assert answer["t"] == "2024-05-01T12:10:00Z"


FLOATS = st.floats(width=64)
TEXTS = st.text(max_size=8) | st.sampled_from(["null", "NaN", "nul", "l,null"])
COLUMNS = st.one_of(
    st.lists(FLOATS | st.none(), max_size=12),
    st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.none(), max_size=12),
    st.lists(TEXTS | st.none(), max_size=12),
    st.lists(st.lists(FLOATS | st.none(), max_size=3) | st.none(), max_size=5),
    st.lists(FLOATS, max_size=40).map(np.array),
    st.lists(st.floats(width=32), max_size=40).map(lambda v: np.array(v, np.float64)),
)


@given(st.dictionaries(st.sampled_from("abc") | st.just("null"), COLUMNS, max_size=3))
def test_values_written_as_json_can_be_read_back(columns: dict[str, Any]):
    back = orjson.loads(dumps_values(columns))
    assert list(back) == list(columns)
    for name, values in columns.items():
        given_back = values.tolist() if isinstance(values, np.ndarray) else values
        floats = isinstance(values, np.ndarray) or any(isinstance(v, (float, list)) for v in values)
        assert exact(read_back(back[name], floats)) == exact(given_back)


@given(
    st.lists(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999), max_size=20),
    st.sampled_from([1, 1_000, 1_000_000]),
)
def test_times_are_written_as_the_clock_writes_them(times: list[int], unit: int):
    micros = np.array([t // unit * unit for t in times], np.int64)
    told = orjson.loads(dumps_times({"view": micros}))["view"]
    assert told == [to_text(t) if t else None for t in micros.tolist()]


@pytest.mark.parametrize("item", [*shop.ASKED, "\N{SNOWMAN}"])
def test_one_row_is_answered_as_among_others(served: Served, item: str | None):
    url = f"{served.url}/features/plain"
    one = httpx.post(url, json={"rows": {"id": [item]}}).json()
    full = httpx.post(f"{url}?metadata=full", json={"rows": {"id": [item]}}).json()
    assert full.pop("versions")
    assert full == one
    many = httpx.post(url, json={"rows": {"id": [item] * 20}}).json()
    assert list(one) == list(many)
    assert (one["service"], one["t"]) == (many["service"], many["t"])
    assert one["statuses"] == many["statuses"]
    for part in ("features", "event_times"):
        assert {n: v * 20 for n, v in one[part].items()} == many[part]
        assert list(one[part]) == list(many[part])


# --- helpers


def assert_same(there: OnlineFeatures, here: OnlineFeatures) -> None:
    assert there.feature_names == here.feature_names
    assert there.service_name == here.service_name
    assert (there.t, len(there)) == (here.t, len(here))
    assert exact_bits(there.to_arrow()) == exact_bits(here.to_arrow())
    assert there.statuses() == here.statuses()
    assert {n: c.tolist() for n, c in there.status_codes().items()} == {
        n: c.tolist() for n, c in here.status_codes().items()
    }
    assert there.event_times() == here.event_times()
    assert there.versions() == here.versions()
    assert exact(there.to_dict()) == exact(here.to_dict())
    ours, theirs = here.to_numpy(), there.to_numpy()
    assert list(ours) == list(theirs)
    for name, values in ours.items():
        assert type(values) is type(theirs[name])
        assert values.dtype == theirs[name].dtype
        assert exact(theirs[name].tolist()) == exact(values.tolist())
    assert there.to_pandas().dtypes.to_dict() == here.to_pandas().dtypes.to_dict()


def exact_bits(table: pa.Table) -> list[Any]:
    """Of floats every bit, those of a NaN too."""
    return [
        (name, str(c.type), [exact(v) for v in c.to_pylist()])
        for name, c in zip(table.column_names, table.columns, strict=True)
    ]


def exact(value: Any) -> Any:
    """A value such that equal means equal bits."""
    if isinstance(value, float):
        return "float", struct.pack("<d", math.nan if math.isnan(value) else value)
    if isinstance(value, dict):
        return {k: exact(v) for k, v in value.items()}
    return [exact(v) for v in value] if isinstance(value, list) else value


def read_back(value: Any, floats: bool) -> Any:
    if isinstance(value, list):
        return [read_back(v, floats) for v in value]
    return _SPECIAL.get(value, value) if floats and isinstance(value, str) else value


def column(values: list[Any], kind: DType) -> pa.Array:
    """A column of JSON as Arrow, by nothing but the type of the feature."""
    return pa.array([_value(v, kind) for v in values], kind.to_arrow())


def _value(value: Any, kind: DType) -> Any:
    if value is None:
        return None
    if kind.item is not None:
        return [_value(v, kind.item) for v in value]
    if kind.is_float:
        return _SPECIAL[value] if isinstance(value, str) else float(value)
    if kind.kind == "timestamp":
        return to_datetime(to_micros(value))
    read = {
        "bytes": base64.b64decode,
        "date": date.fromisoformat,
        "decimal": Decimal,
    }.get(kind.kind)
    return value if read is None else read(value)


def as_json(value: Any) -> bytes:
    """A request's body, with values in the forms that the documentation gives."""
    return orjson.dumps(_plain(value), option=orjson.OPT_UTC_Z)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, Decimal) else value
