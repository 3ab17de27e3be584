"""Who asks, and what is known of a request before its rows are looked at."""

from __future__ import annotations

import pytest

from noskew.principal import Principal
from noskew.request import Request
from noskew.serving.http.pages import Service, Services
from noskew.serving.http.push import FeastPush, Push
from noskew.serving.http.reads import FeastRead, FeatureRead
from noskew.serving.http.routes import NoRoute, route


def test_the_local_user_is_one_value():
    assert Principal.local() is Principal.local()
    assert Principal.local().kind == "user"
    assert Principal.local().name


def test_a_user_without_a_name_is_still_somebody(monkeypatch):
    def nobody() -> str:
        raise OSError("no username set in the environment")

    monkeypatch.setattr("getpass.getuser", nobody)
    Principal.local.__func__.__globals__["_local"].cache_clear()
    try:
        assert Principal.local() == Principal("user", "local")
    finally:
        Principal.local.__func__.__globals__["_local"].cache_clear()


def test_a_principal_is_a_value():
    given = {"clearance": "high"}
    one = Principal("service", "pricing", frozenset({"readers"}), "prices", given)
    given["clearance"] = "none"
    assert one.attributes == {"clearance": "high"}
    assert one == Principal("service", "pricing", ["readers"], "prices", {"clearance": "high"})
    assert hash(one) == hash(Principal("service", "pricing", {"readers"}, "prices"))
    assert str(one) == "service:pricing"
    with pytest.raises(TypeError):
        one.attributes["clearance"] = "none"


def request(number: int, given_id: str | None = None) -> Request:
    return Request(Principal.local(), "s", None, "127.0.0.1:1", 0.0, number, given_id)


def test_a_request_has_the_id_that_its_caller_gave():
    assert request(1, "abc-1").id == "abc-1"


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a\nb", "é", "\x1b[31m"])
def test_what_cannot_stand_in_a_log_is_no_id(given):
    assert request(1, given).id == request(1).id
    assert request(1, given).id != request(2).id


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("/features/delays", FeatureRead, "delays"),
        ("/features/", FeatureRead, ""),
        ("/features/a/b", FeatureRead, "a/b"),
        ("/features", NoRoute, "/features"),
        ("/get-online-features", FeastRead, ""),
        ("/push", FeastPush, ""),
        ("/push/", Push, ""),
        ("/push/orders", Push, "orders"),
        ("/services", Services, ""),
        ("/services/delays", Service, "delays"),
        ("/", NoRoute, "/"),
        ("", NoRoute, ""),
        ("features/x", NoRoute, "features/x"),
        ("//features/x", NoRoute, "//features/x"),
        ("/healthz/", NoRoute, "/healthz/"),
    ],
)
def test_a_path_leads_to_an_exchange(path, kind, name):
    assert route(path) == (kind, name)
