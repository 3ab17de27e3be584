"""The server describes itself: services, OpenAPI, the page to read, metrics."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.serving import shop
from tests.serving.conftest import Served
from tests.serving.feature_server import FeatureServer
from tests.serving.test_answers import CASES, as_json


def get(served: Served, path: str) -> Any:
    answer = httpx.get(served.url + path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_services_are_listed_and_described(served: Served):
    listed = get(served, "/services")
    assert listed["registry_version"] == served.store.applied.version
    assert [s["name"] for s in listed["services"]] == [
        "everything",
        "judged_items",
        "places",
        "plain",
    ]
    assert listed["broken"] == {}
    told = get(served, "/services/everything")
    assert (told["description"], told["owner"]) == ("All of it.", "us")
    assert told["join_keys"] == {"id": "string"}
    features = {f["name"]: f for f in told["features"]}
    assert {n: features[n]["type"] for n in shop.KINDS} == shop.LATEST.schema.texts()
    assert features["mean"]["description"] == "mean of f64 over 1h"
    assert features["mean"]["view"] == "windows"
    assert [v["name"] for v in told["views"]] == ["latest", "aged", "watched", "windows"]
    assert (told["views"][1]["max_age"], told["views"][2]["freshness"]) == ("1h", "1min")
    judged = get(served, "/services/judged_items")
    assert judged["request_fields"] == shop.REQUEST
    assert judged["features"][1]["on_demand"] == "judged"


@pytest.mark.parametrize(("service", "rows"), CASES)
def test_requests_and_answers_fit_the_openapi_document(served: Served, service: str, rows: Any):
    document = get(served, "/openapi.json")
    operation = document["paths"][f"/features/{service}"]["post"]
    body = {"rows": rows}
    check(as_data(body), operation["requestBody"]["content"]["application/json"], document)
    answer = httpx.post(f"{served.url}/features/{service}", content=as_json(body))
    good = operation["responses"]["200"]["content"]["application/json"]
    check(answer.json(), good, document)
    full = httpx.post(f"{served.url}/features/{service}?metadata=full", content=as_json(body))
    check(full.json(), good, document)
    bad = httpx.post(f"{served.url}/features/{service}", json={"rows": {"x": [1]}})
    check(bad.json(), operation["responses"]["422"]["content"]["application/json"], document)


def test_the_openapi_document_is_whole(served: Served):
    document = get(served, "/openapi.json")
    assert document["openapi"] == "3.1.0"
    refs = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document)))
    assert refs == set(document["components"]["schemas"])
    operations = [o["operationId"] for p in document["paths"].values() for o in methods(p)]
    assert len(operations) == len(set(operations))
    plain = [p for p in document["paths"] if "features" not in p and "{" not in p]
    for path in plain:
        assert served.server.status(path) == 200, path
    feast = document["paths"]["/get-online-features"]["post"]
    asked = {"features": ["latest:text"], "entities": {"id": ["a"]}}
    check(asked, feast["requestBody"]["content"]["application/json"], document)
    answer = httpx.post(f"{served.url}/get-online-features", json=asked).json()
    check(answer, feast["responses"]["200"]["content"]["application/json"], document)


def test_the_page_needs_nothing_from_elsewhere(served: Served):
    answer = httpx.get(f"{served.url}/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    found = Links()
    found.feed(answer.text)
    assert found.targets == ["openapi.json"]
    assert not re.search(r"https?://|//cdn|@import|url\(", answer.text)
    for path in re.findall(r'get\("(\w+(?:\.json)?)"\)', answer.text):
        assert served.server.status("/" + path) == 200


def test_metrics_count_what_was_answered(served: Served):
    before = metrics(served)
    for ids in (["a"], ["a", "old", None]):
        httpx.post(f"{served.url}/features/plain", json={"rows": {"id": ids}})
    httpx.post(f"{served.url}/features/plain", json={"rows": {"id": [1]}})
    httpx.post(f"{served.url}/features/no_such", json={"rows": {"id": ["a"]}})
    after = metrics(served)

    def grown(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    labels = 'route="features",service="plain"'
    assert grown(f'noskew_http_requests_total{{{labels},status="200"}}') == 2
    assert grown(f'noskew_http_requests_total{{{labels},status="422"}}') == 1
    assert grown('noskew_http_requests_total{route="features",service="",status="404"}') == 1
    assert grown('noskew_http_rows_total{service="plain"}') == 4
    assert grown('noskew_http_request_seconds_count{route="features"}') == 4
    assert grown('noskew_http_request_seconds_bucket{le="+Inf",route="features"}') == 4
    assert 0 < grown('noskew_http_request_seconds_sum{route="features"}') < 4
    versions = [v for n, v in after.items() if n.startswith("noskew_registry_version{")]
    assert versions == [served.store.applied.version]


def metrics(served: Served | FeatureServer) -> dict[str, float]:
    text = httpx.get(f"{served.url}/metrics").text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def methods(path: dict[str, Any]) -> list[Any]:
    return [operation for name, operation in path.items() if name != "parameters"]


def as_data(value: Any) -> Any:
    return httpx.Response(200, content=as_json(value)).json()


class Links(HTMLParser):
    """What a page loads or links to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [v or "" for n, v in attrs if n in ("src", "href", "action")]


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def check(value: Any, at: dict[str, Any], document: dict[str, Any]) -> None:
    """Assert that a value fits the schema in ``at["schema"]``: the part of JSON Schema we use."""
    assert fits(value, at["schema"], document), (value, at["schema"])


def fits(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    rules = {**schema}
    if "$ref" in rules:
        name = rules.pop("$ref").removeprefix("#/components/schemas/")
        return fits(value, document["components"]["schemas"][name], document)
    if "anyOf" in rules:
        return any(fits(value, s, document) for s in rules["anyOf"])
    if "oneOf" in rules:
        return sum(fits(value, s, document) for s in rules["oneOf"]) == 1
    if "const" in rules and value != rules["const"]:
        return False
    if "enum" in rules and value not in rules["enum"]:
        return False
    if "type" in rules and not has_type(value, rules["type"]):
        return False
    if "minimum" in rules and value is not None:
        assert rules["minimum"] <= value <= rules["maximum"]
    if "pattern" in rules and isinstance(value, str) and not re.search(rules["pattern"], value):
        return False
    if isinstance(value, dict):
        return fits_object(value, rules, document)
    if isinstance(value, list):
        low, high = rules.get("minItems", 0), rules.get("maxItems", len(value))
        items = rules.get("items", {})
        return low <= len(value) <= high and all(fits(v, items, document) for v in value)
    return True


def fits_object(value: dict[str, Any], rules: dict[str, Any], document: dict[str, Any]) -> bool:
    known = rules.get("properties", {})
    others = rules.get("additionalProperties", True)
    if any(name not in value for name in rules.get("required", [])):
        return False
    for name, item in value.items():
        if name in known:
            if not fits(item, known[name], document):
                return False
        elif others is False or (others is not True and not fits(item, others, document)):
            return False
    return True


def has_type(value: Any, wanted: str | list[str]) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, _TYPES[name]) for name in names)
