"""One row of one view by one key: the short way gives what the general way gives, or gives way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noskew as ns
from noskew.addresses import Tenant
from noskew.clock import MAX_TIME, MICROS_PER_SECOND, MIN_TIME, FixedClock, to_text
from noskew.errors import InputError, NoskewError
from noskew.reading.reader import OnlineReader
from noskew.reading.request_plan import RequestPlan
from noskew.reading.response import OnlineResponse
from noskew.serving.http.json_answer import JsonAnswer
from noskew.stores.online.lmdb import LmdbStore
from noskew.stores.online.memory import MemoryStore
from tests.kernel.paths import fact, make_view
from tests.serving.test_row_answers import NUMBERS, VIEWS, S, rows_of, sound

KINDS = ["int8", "int16", "int32", "int64", "string", "bytes", "bool", "date", "timestamp"]
VALUES = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            1.0,
            0,
            -1,
            -128,
            127,
            128,
            2**63 - 1,
            -(2**63),
            2**63,
            "",
            "a",
            "é",
            "\ud800",
            "\0",
            "x" * 127,
            "x" * 128,
            "x" * 240,
            "x" * 900,
            "1",
            b"a",
            np.int8(3),
            np.str_("a"),
            "2013-06-01",
            [1],
            {},
        ]
    ),
    st.integers(-(2**70), 2**70),
    st.text(max_size=300),
    st.binary(max_size=3),
)


def service_of(kind: str, **options: Any) -> ns.FeatureService:
    source = ns.Source("s", {"k": kind, "at": "timestamp", "x": float}, event_time="at")
    view = ns.FeatureView(
        "v", entity=ns.Entity("e", {"k": kind}), source=source, features=[ns.latest("x")], **options
    )
    return ns.FeatureService("s", [view])


TENANT = Tenant("p")
PLANS = {kind: RequestPlan(service_of(kind), TENANT) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(VALUES)
def test_a_lone_key_is_the_key_that_the_general_way_makes(kind: str, value: Any) -> None:
    plan = PLANS[kind]
    found = plan.lone_key({"k": [value]})
    if found is not None:
        assert [found] == plan.store_keys(plan.columns_of({"k": [value]})[0])


@pytest.mark.parametrize(
    ("kind", "value"), [("int8", -128), ("int64", 2**63 - 1), ("string", "JFK"), ("string", "")]
)
def test_common_keys_go_the_short_way(kind: str, value: Any) -> None:
    assert PLANS[kind].lone_key({"k": [value]}) is not None


@pytest.mark.parametrize(
    "rows",
    [
        {},
        {"k": []},
        {"k": [1, 2]},
        {"k": (1,)},
        {"k": np.array([1])},
        {"x": [1]},
        [{"k": 1}],
        {"k": [1], "x": [1]},
        {"k": [True]},
        {"k": [None]},
        {"k": [128]},
        {"k": ["1"]},
        {"k": 1},
    ],
    ids=str,
)
def test_other_requests_are_left_to_the_general_way(rows: Any) -> None:
    assert PLANS["int8"].lone_key(rows) is None


def test_other_services_are_left_to_the_general_way() -> None:
    one, two = service_of("int64"), make_view(ns.latest("n"))
    assert RequestPlan(one, TENANT, max_rows=0).lone_key({"k": [1]}) is None
    assert RequestPlan(service_of("int64", freshness="1h"), TENANT).lone_key({"k": [1]}) is None
    several = ns.FeatureService("several", [one.views[0], two])
    assert RequestPlan(several, TENANT).lone_key({"k": [1]}) is None

    twice = ns.OnDemand(
        "twice", doubled, inputs=[one.views[0]["x"]], request={"y": float}, outputs={"z": float}
    )
    asks = RequestPlan(ns.FeatureService("asks", [twice]), TENANT)
    assert asks.lone_key({"k": [1]}) is None


def doubled(given: Any) -> Any:
    return {"z": given["y"] + given["y"]}


# ---------------------------------------------------------------- answers


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the error it raises. NaN is equal to itself as text."""
    try:
        return repr(call())
    except NoskewError as error:
        return type(error), str(error)


def told(found: OnlineResponse) -> list[Any]:
    return [
        outcome(found.to_dict),
        outcome(lambda: found.to_arrow().to_pylist()),
        outcome(found.statuses),
        outcome(found.event_times),
        outcome(found.versions),
        found.t,
        outcome(lambda: {n: v.tolist() for n, v in found.to_numpy().items()}),
        list(found.given),
    ]


def same_both_ways(view: ns.FeatureView, row: bytes | None) -> None:
    """Ask for the row as it is, with the short way and without it, in process and as JSON."""
    store, service = MemoryStore(), ns.FeatureService("s", [view])
    short, general = (OnlineReader(service, store, FixedClock(22 * S), tenant=TENANT) for _ in "ab")
    general.plan._lone = None
    key = short.plan.lone_key({"user_id": [1]})
    assert key is not None
    if row is not None:
        store._open()[key] = row  # past the checks of a write
    asked = {"user_id": [1]}
    expected = outcome(lambda: told(general.get(dict(asked))))
    assert outcome(lambda: told(short.get(dict(asked)))) == expected
    assert outcome(lambda: told(asyncio.run(short.get_async(dict(asked))))) == expected
    columns, one = JsonAnswer(general.plan), JsonAnswer(short.plan)
    columns._whole_row = None
    expected = outcome(lambda: columns.encode(general.get(dict(asked))))
    assert outcome(lambda: one.encode(short.get(dict(asked)))) == expected


@pytest.mark.parametrize("name", VIEWS)
def test_one_row_is_answered_the_same_both_ways(name: str) -> None:
    row = sound(name)
    for one in (None, row, row[:-1], row[:17], row[:16], row[:3], b"", row + b"\0", bytes(40)):
        same_both_ways(VIEWS[name], one)


@given(st.randoms(use_true_random=False))
def test_a_damaged_row_is_answered_the_same_both_ways(chance: random.Random) -> None:
    row = bytearray(sound("numbers"))
    for _ in range(chance.choice([1, 1, 2, 8])):
        row[chance.randrange(len(row))] ^= 1 << chance.randrange(8)
    same_both_ways(NUMBERS, bytes(row))


def test_a_service_of_some_features_in_another_order_gives_each_its_own() -> None:
    """All features in the order of the row are taken as they stand, and only those."""
    store, clock = MemoryStore(), FixedClock(22 * S)
    everything = OnlineReader(ns.FeatureService("s", [NUMBERS]), store, clock, tenant=TENANT)
    key = everything.plan.lone_key({"user_id": [7]})
    assert key is not None
    store._open()[key] = sound("numbers")
    whole = everything.get({"user_id": [7]}).to_dict()
    assert len(set(map(tuple, whole.values()))) == len(whole)  # else nothing can be told apart
    for chosen in (["n", "x"], ["small"], ["n", "small", "f", "x"], ["x", "f", "small", "n"]):
        service = ns.FeatureService("s", [NUMBERS[tuple(chosen)]])
        found = OnlineReader(service, store, clock, tenant=TENANT).get({"user_id": [7]}).to_dict()
        assert found == {"user_id": [7]} | {n: whole[n] for n in chosen}
        assert list(found) == ["user_id", *chosen]


def test_features_that_share_a_column_each_have_its_value() -> None:
    view = make_view(ns.latest("n"), ns.latest("x"), ns.latest("x", name="again"))
    row = rows_of(view, [fact(S, known=S, n=3, x=0.5)], 20 * S)[1,]
    same_both_ways(view, row)
    store = MemoryStore()
    reader = OnlineReader(ns.FeatureService("s", [view]), store, FixedClock(22 * S), tenant=TENANT)
    key = reader.plan.lone_key({"user_id": [1]})
    assert key is not None
    store.write([key], [row])
    found = reader.get({"user_id": [1]}).to_dict()
    assert found == {"user_id": [1], "n": [3], "x": [0.5], "again": [0.5]}


@given(
    st.lists(
        st.integers(MIN_TIME // S, MAX_TIME // S).flatmap(
            lambda s: st.sampled_from([0, 1, 999_999, 120_000]).map(
                lambda u: s * MICROS_PER_SECOND + u
            )
        ),
        min_size=1,
    ),
    st.randoms(use_true_random=False),
)
def test_the_time_of_an_answer_is_written_as_the_clock_writes_it(
    times: list[int], chance: random.Random
) -> None:
    """Whichever second was written before."""
    writer = JsonAnswer(PLANS["int8"])
    for t in chance.choices(times, k=9):
        assert orjson.loads(writer._time(t)) == to_text(t)


def test_one_key_that_is_too_long_or_empty_is_refused(tmp_path: Any) -> None:
    with LmdbStore(tmp_path / "online") as store:
        for key in (b"", b"k" * 512):
            with pytest.raises(InputError, match="key 0 has"):
                store.read([key])
        assert store.read([b"k" * 511]) == [None]
