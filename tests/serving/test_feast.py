"""The route that answers as Feast's Python feature server does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from noskew.clock import to_text
from tests.serving import shop
from tests.serving.conftest import Served

EPOCH = "1970-01-01T00:00:00Z"
NOON = "2024-05-01T12:00:00Z"
OLD = "2024-04-29T12:00:00Z"


def ask(served: Served, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{served.url}/get-online-features", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_the_answer_has_feasts_shape(served: Served):
    ids = ["a", "old", "nulls", "never seen"]
    assert ask(served, features=["aged:fresh", "latest:text"], entities={"id": ids}) == {
        "metadata": {"feature_names": ["id", "fresh", "text"]},
        "results": [
            {"values": ids, "statuses": ["PRESENT"] * 4, "event_timestamps": [EPOCH] * 4},
            {
                "values": [1.5, None, None, None],
                "statuses": ["PRESENT", "OUTSIDE_MAX_AGE", "NULL_VALUE", "NOT_FOUND"],
                "event_timestamps": [NOON, OLD, NOON, EPOCH],
            },
            {
                "values": ["null", "old", None, None],
                "statuses": ["PRESENT", "PRESENT", "NULL_VALUE", "NOT_FOUND"],
                "event_timestamps": [NOON, OLD, NOON, EPOCH],
            },
        ],
    }


@pytest.mark.parametrize("full", [False, True])
def test_a_service_may_be_named(served: Served, full: bool):
    made = ask(served, feature_service="plain", entities={"id": ["a"]}, full_feature_names=full)
    prefix = "numbers__" if full else ""
    names = [f"{prefix}n_{n}" for n in ("f64", "f32", "i8", "i16", "i32", "i64")]
    assert made["metadata"]["feature_names"] == ["id", *names]
    here = served.store.get_online_features("plain", {"id": ["a"]}).to_dict()
    assert [r["values"] for r in made["results"]] == list(here.values())


@pytest.mark.parametrize("view", ["latest", "aged", "watched", "windows"])
def test_a_row_without_an_event_time_has_that_of_the_epoch(served: Served, view: str):
    feature = {"latest": "text", "aged": "fresh", "watched": "watched_i64", "windows": "events"}
    made = ask(served, features=[f"{view}:{feature[view]}"], entities={"id": shop.ASKED})
    answer = served.store.get_online_features("everything", {"id": shop.ASKED})
    times = [to_text(m) if m else EPOCH for m in answer.event_micros()[view].tolist()]
    assert made["results"][1]["event_timestamps"] == times
    asked = dict(zip(shop.ASKED, made["results"][1]["event_timestamps"], strict=True))
    assert asked["never seen"] == asked[None] == EPOCH


def test_stale_values_are_present_and_nan_is_a_string(served: Served):
    made = ask(
        served, features=["watched:watched_i64", "latest:f64"], entities={"id": ["a", "strange"]}
    )
    assert made["results"][1]["statuses"] == ["PRESENT", "PRESENT"]
    assert made["results"][2]["values"] == [1.5, "NaN"]


def test_every_type_can_be_had(served: Served):
    made = ask(served, feature_service="everything", entities={"id": shop.ASKED})
    native = httpx.post(f"{served.url}/features/everything", json={"rows": {"id": shop.ASKED}})
    values = dict(zip(made["metadata"]["feature_names"], made["results"], strict=True))
    assert {n: v["values"] for n, v in values.items()} == {
        "id": shop.ASKED,
        **native.json()["features"],
    }


def test_on_demand_features_can_be_chosen_and_request_fields_are_not_given_back(served: Served):
    given = {"id": ["a"], **{n: [None] for n in shop.REQUEST}, "weight": [2.0], "note": ["x"]}
    made = ask(served, features=["judged:note_back", "judged:total"], entities=given)
    assert made == {
        "metadata": {"feature_names": ["id", "total", "note_back"]},
        "results": [
            {"values": ["a"], "statuses": ["PRESENT"], "event_timestamps": [EPOCH]},
            {"values": [3.5], "statuses": ["PRESENT"], "event_timestamps": [EPOCH]},
            {"values": ["x"], "statuses": ["PRESENT"], "event_timestamps": [EPOCH]},
        ],
    }


def test_a_body_without_a_media_type_is_json_as_in_feasts_examples(served: Served):
    body = b'{"feature_service": "plain", "entities": {"id": ["a"]}}'
    for headers in ({}, {"content-type": "application/x-www-form-urlencoded"}):
        answer = httpx.post(f"{served.url}/get-online-features", content=body, headers=headers)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b'{"entities": {"id": ' + b"[" * 100_000, 400, "not JSON"),
        (b'{"entities": {"id": ["\xff"]}, "feature_service": "plain"}', 400, "not JSON"),
        (b"[]", 422, "object"),
        (b"{}", 422, "entities"),
        (b'{"entities": {"id": ["a"]}}', 422, "one of the two"),
        (b'{"entities": {}, "features": [], "feature_service": "plain"}', 422, "one of the two"),
        (b'{"entities": {"id": ["a"]}, "features": []}', 422, "features must not be empty"),
        (b'{"entities": {"id": "a"}, "feature_service": "plain"}', 422, "array"),
        (b'{"entities": {"id": ["a"]}, "feature_service": 3}', 422, "str"),
        (b'{"entities": {"id": ["a"]}, "feature_service": "plane"}', 404, "Did you mean 'plain'"),
        (b'{"entities": {"id": ["a"]}, "features": ["text"]}', 422, "view:feature"),
        (b'{"entities": {"id": ["a"]}, "features": ["last:text"]}', 404, "no feature view 'last'"),
        (b'{"entities": {"id": ["a"]}, "features": ["latest:txt"]}', 404, "no feature 'txt'"),
        (b'{"entities": {"id": ["a"]}, "features": ["judged:x"]}', 404, "no feature 'x'"),
        (b'{"entities": {"id": [1]}, "features": ["latest:text"]}', 422, "must be string"),
        (b'{"entities": {"x": ["a"]}, "features": ["latest:text"]}', 422, "takes no 'x'"),
        (b'{"entities": {}, "features": ["latest:text"]}', 422, "needs the join key"),
        (b'{"entities": {"id": ["a"]}, "features": ["latest:text"], "x": 1}', 422, "x"),
    ],
)
def test_mistakes_are_told(served: Served, body: bytes, status: int, says: str):
    answer = httpx.post(
        f"{served.url}/get-online-features",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]
