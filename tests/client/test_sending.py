"""Who asks, how requests are sent, and when they are sent again; the same for both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

import noskew as ns
from noskew.errors import ConfigError, InputError, StoreUnavailableError

URL = "http://features.internal"
SERVICES = orjson.dumps({"services": [{"name": "one"}]})
Answers = Callable[[httpx.Request], httpx.Response]


class Gateway(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers by itself, and keeps what was sent."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.requests = list(answers), list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, content=SERVICES)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


def call_sync(method: str, *arguments: Any, **options: Any) -> Any:
    with ns.Client(URL, **options) as client:
        return getattr(client, method)(*arguments)


def call_async(method: str, *arguments: Any, **options: Any) -> Any:
    async def call() -> Any:
        async with ns.AsyncClient(URL, **options) as client:
            return await getattr(client, method)(*arguments)

    return asyncio.run(call())


@pytest.fixture(params=[call_sync, call_async], ids=["sync", "async"])
def call(request):
    return request.param


def test_requests_go_through_the_transport(call):
    gateway = Gateway()
    assert call("services", transport=gateway) == [{"name": "one"}]
    assert [str(r.url) for r in gateway.requests] == [f"{URL}/services"]
    assert "authorization" not in gateway.requests[0].headers


def test_a_token_is_sent_as_bearer(call):
    gateway = Gateway()
    call("services", transport=gateway, auth="secret")
    assert gateway.requests[0].headers["authorization"] == "Bearer secret"


def test_a_function_gives_a_token_for_each_attempt(call):
    tokens = iter(["first", "second"])
    gateway = Gateway(httpx.Response(503))
    call("services", transport=gateway, auth=lambda: next(tokens))
    sent = [r.headers["authorization"] for r in gateway.requests]
    assert sent == ["Bearer first", "Bearer second"]


def test_what_httpx_has_for_authentication_is_taken(call):
    gateway = Gateway()
    call("services", transport=gateway, auth=httpx.BasicAuth("user", "word"))
    assert gateway.requests[0].headers["authorization"].startswith("Basic ")


def test_another_auth_is_refused(call):
    with pytest.raises(ConfigError, match=r"auth is a bearer token.*got tuple"):
        call("services", auth=("user", "word"))


def test_a_refusal_of_the_gateway_is_not_tried_again(call):
    gateway = Gateway(httpx.Response(401, text="who are you?"))
    with pytest.raises(InputError, match="the server answered 401"):
        call("services", transport=gateway)
    assert len(gateway.requests) == 1


def test_a_read_is_tried_again_where_that_can_help(call):
    gateway = Gateway(httpx.ReadError("cut off"), httpx.Response(503))
    assert call("services", transport=gateway) == [{"name": "one"}]
    assert len(gateway.requests) == 3


def test_a_read_is_given_up_after_so_many_attempts(call):
    gateway = Gateway(*[httpx.ConnectError("refused")] * 9)
    with pytest.raises(StoreUnavailableError, match="cannot be reached: ConnectError: refused"):
        call("services", transport=gateway, attempts=2)
    assert len(gateway.requests) == 2


ROWS = {"id": ["a"]}


def test_a_push_that_was_sent_is_never_repeated(call):
    gateway = Gateway(httpx.ReadError("cut off"))
    with pytest.raises(StoreUnavailableError, match="Whether the rows were appended is not known"):
        call("push", "items", ROWS, transport=gateway)
    assert len(gateway.requests) == 1


def test_a_push_that_was_refused_is_not_repeated(call):
    gateway = Gateway(httpx.Response(503))
    with pytest.raises(StoreUnavailableError, match="answered 503"):
        call("push", "items", ROWS, transport=gateway)
    assert len(gateway.requests) == 1


def test_a_push_is_repeated_where_no_connection_was_made(call):
    answer = httpx.Response(202, json={"appended": 1, "offsets": {"0": 7}})
    gateway = Gateway(httpx.ConnectError("refused"), answer)
    assert dict(call("push", "items", ROWS, transport=gateway)) == {0: 7}
    assert len(gateway.requests) == 2


def test_a_name_is_one_segment_of_the_path(call):
    gateway = Gateway(httpx.Response(200, json={}))
    call("service", "a/../b?c", transport=gateway)
    assert gateway.requests[0].url.raw_path == b"/services/a%2F..%2Fb%3Fc"


def test_to_wait_longer_takes_a_longer_timeout():
    answer = httpx.Response(200, json={"appended": 1, "offsets": {}, "readable": True})
    gateway = Gateway(answer)
    with ns.Client(URL, transport=gateway, timeout_s=2.0) as client:
        assert client.push("items", ROWS, wait=3.0).readable is True
    assert gateway.requests[0].extensions["timeout"]["read"] == 5.0
    assert gateway.requests[0].url.params["wait_s"] == "3.0"
