"""Whatever a caller sends, the answer is a clear 4xx, and the server lives on."""

from __future__ import annotations

import gzip
import socket
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import httpx
import numpy as np
import pyarrow as pa
import pytest

import noskew as ns
from noskew.errors import (
    InputError,
    KeyTypeError,
    LimitError,
    NoskewError,
    NotFoundError,
    StoreUnavailableError,
)
from noskew.wire.media_types import ARROW
from tests.serving import shop
from tests.serving.conftest import Served

JSON = "application/json"
LIMIT = 2_000_000
GOOD = b'{"rows": {"id": ["a"]}}'


class Case(NamedTuple):
    what: str
    status: int
    kind: str
    says: str
    body: bytes = GOOD
    path: str = "/features/plain"
    method: str = "POST"
    content_type: str | None = JSON
    headers: dict[str, str] = {}  # noqa: RUF012 - never written
    valid: list[str] | None = None


def rows(text: str) -> bytes:
    return b'{"rows": ' + text.encode() + b"}"


def arrow(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


IDS = pa.table({"id": ["a"] * 100})
SHARED = {"content_type": ARROW}
ROUTES = [
    "/docs",
    "/features/{service}",
    "/get-online-features",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/push",
    "/push/{source}",
    "/readyz",
    "/services",
    "/services/{service}",
]
SERVICES = ["everything", "judged_items", "places", "plain"]
CASES = [
    # names
    Case(
        "unknown service",
        404,
        "NotFoundError",
        "Did you mean 'plain'?",
        path="/features/plane",
        valid=SERVICES,
    ),
    Case(
        "no service",
        404,
        "NotFoundError",
        "no feature service ''",
        path="/features/",
        valid=SERVICES,
    ),
    Case(
        "long service", 404, "NotFoundError", "…", path="/features/" + "x" * 5_000, valid=SERVICES
    ),
    Case(
        "path in service",
        404,
        "NotFoundError",
        "no feature service",
        path="/features/%2e%2e%2fx",
        valid=SERVICES,
    ),
    Case(
        "service to show",
        404,
        "NotFoundError",
        "Did you mean",
        path="/services/plane",
        method="GET",
        valid=SERVICES,
    ),
    Case("route", 404, "InputError", "no route '/feature'", path="/feature", valid=ROUTES),
    Case("route of root", 404, "InputError", "no route '/'", path="/", method="GET", valid=ROUTES),
    Case(
        "unknown column", 422, "InputError", "takes no 'ids'", rows('{"ids": ["a"]}'), valid=["id"]
    ),
    Case(
        "extra column",
        422,
        "InputError",
        "takes no 'x'",
        rows('{"id": ["a"], "x": [1]}'),
        valid=["id"],
    ),
    Case("absent key", 422, "KeyTypeError", "needs the join key", rows("{}"), valid=["id"]),
    Case(
        "absent field",
        422,
        "KeyTypeError",
        "needs the request field 'cost'",
        rows('{"id": ["a"]}'),
        "/features/judged_items",
        valid=sorted(["id", *shop.REQUEST]),
    ),
    Case(
        "long column",
        422,
        "InputError",
        "…",
        rows('{"%s": ["a"]}' % ("x" * 1_000_000)),
        valid=["id"],
    ),
    Case("no rows", 422, "InputError", "'rows'", b"{}", valid=["id"]),
    Case(
        "more than rows",
        422,
        "InputError",
        "'rows'",
        b'{"rows": {"id": ["a"]}, "row": 1}',
        valid=["id"],
    ),
    Case(
        "query",
        422,
        "InputError",
        "metadata=full",
        path="/features/plain?metdata=full",
        valid=["metadata=basic", "metadata=full"],
    ),
    # JSON
    Case("empty", 400, "InputError", "not JSON", b""),
    Case("not JSON", 400, "InputError", "not JSON", b"{rows"),
    Case("two documents", 400, "InputError", "not JSON", GOOD + GOOD),
    Case("invalid UTF-8", 400, "InputError", "not JSON", b'{"rows": {"id": ["\xff\xfe"]}}'),
    Case("lone surrogate", 400, "InputError", "not JSON", rows('{"id": ["\\ud800"]}')),
    Case("NaN", 400, "InputError", "not JSON", rows('{"id": [NaN]}')),
    Case("deep", 400, "InputError", "not JSON", rows("[" * 100_000 + "]" * 100_000)),
    Case("endless number", 400, "InputError", "not JSON", rows("1" + "0" * 400)),
    Case(
        "deep but legal",
        422,
        "KeyTypeError",
        "must be string",
        rows('{"id": [' + "[" * 500 + "]" * 500 + "]}"),
    ),
    Case("list", 422, "InputError", "must be a JSON object", b"[]", valid=["id"]),
    Case("null", 422, "InputError", "must be a JSON object", b"null", valid=["id"]),
    Case("rows of text", 422, "InputError", "expected columns", rows('"id"'), valid=["id"]),
    Case("rows of null", 422, "InputError", "expected columns", rows("null"), valid=["id"]),
    Case("rows of numbers", 422, "InputError", "rows must be mappings", rows("[1, 2]")),
    Case("mixed rows", 422, "InputError", "rows must be mappings", rows('[{"id": "a"}, 2]')),
    Case("scalar column", 422, "InputError", "must be a list", rows('{"id": "a"}')),
    Case("object column", 422, "InputError", "must be a list", rows('{"id": {"a": 1}}')),
    Case("null column", 422, "InputError", "must be a list", rows('{"id": null}')),
    # types
    Case("number for text", 422, "KeyTypeError", "must be string, got int", rows('{"id": [1]}')),
    Case("mixed", 422, "KeyTypeError", "must be string", rows('{"id": ["a", 1]}')),
    Case(
        "bool for int",
        422,
        "KeyTypeError",
        "must be int32",
        rows('{"row": [true], "place": [1], "id": ["a"]}'),
        "/features/places",
    ),
    Case(
        "float for int",
        422,
        "KeyTypeError",
        "must be int32",
        rows('{"row": [1.5], "place": [1], "id": ["a"]}'),
        "/features/places",
    ),
    Case(
        "text for int",
        422,
        "KeyTypeError",
        "must be int64",
        rows('{"row": [1], "place": ["1"], "id": ["a"]}'),
        "/features/places",
    ),
    Case(
        "out of range",
        422,
        "KeyTypeError",
        "must be int32",
        rows('{"row": [2147483648], "place": [1], "id": ["a"]}'),
        "/features/places",
    ),
    Case(
        "huge integer",
        422,
        "KeyTypeError",
        "must be int64",
        rows('{"row": [1], "place": [' + "9" * 30 + '], "id": ["a"]}'),
        "/features/places",
    ),
    Case(
        "lengths",
        422,
        "InputError",
        "different lengths",
        rows('{"row": [1, 2], "place": [1], "id": ["a"]}'),
        "/features/places",
    ),
    *[
        Case(
            f"field {name}",
            422,
            "SchemaMismatchError",
            name if says is None else says,
            rows(
                '{"id": ["a"], '
                + ", ".join(f'"{n}": [{value if n == name else "null"}]' for n in shop.REQUEST)
                + "}"
            ),
            "/features/judged_items",
        )
        for name, value, says in [
            ("weight", '"1.5"', None),
            ("weight", "[1]", None),
            ("note", "1", None),
            ("note", '{"a": 1}', None),
            ("data", '"€"', None),
            ("data", "1", None),
            ("when", '"2024-01-01T00:00:00"', "no offset"),
            ("when", "1704067200", None),
            ("when", '"soon"', None),
            ("on", '"2024-13-01"', None),
            ("cost", '"much"', None),
            ("cost", "1.5", "not exact"),
            ("cost", '"1.001"', None),
            ("parts", '"x"', None),
            ("parts", '["x"]', None),
        ]
    ],
    # sizes
    Case("body", 413, "LimitError", f"at most {LIMIT} bytes", b" " * (LIMIT + 1)),
    Case("much too large a body", 413, "LimitError", "at most", b" " * (12 * LIMIT)),
    Case(
        "rows",
        413,
        "LimitError",
        "at most 10000",
        rows('{"id": [' + ",".join(['"a"'] * 100_000) + "]}"),
    ),
    Case(
        "listed rows",
        413,
        "LimitError",
        "at most 10000",
        rows("[" + ",".join(['{"id":"a"}'] * 10_001) + "]"),
    ),
    Case(
        "Arrow rows",
        413,
        "LimitError",
        "at most 10000",
        arrow(pa.table({"id": pa.nulls(10**9)})),
        **SHARED,
    ),
    # methods and media types
    Case("GET", 405, "InputError", "takes POST", method="GET", valid=["POST"]),
    Case("DELETE", 405, "InputError", "takes POST", method="DELETE", valid=["POST"]),
    Case(
        "POST to GET", 405, "InputError", "takes GET, HEAD", path="/services", valid=["GET", "HEAD"]
    ),
    Case(
        "POST to a service",
        405,
        "InputError",
        "takes GET, HEAD",
        path="/services/plain",
        valid=["GET", "HEAD"],
    ),
    Case(
        "GET of Feast's",
        405,
        "InputError",
        "takes POST",
        path="/get-online-features",
        method="GET",
        valid=["POST"],
    ),
    Case(
        "media type",
        415,
        "InputError",
        "'text/csv'",
        content_type="text/csv",
        valid=[JSON, ARROW],
    ),
    Case(
        "form",
        415,
        "InputError",
        "media type",
        content_type="application/x-www-form-urlencoded",
        valid=[JSON, ARROW],
    ),
    Case(
        "encoding",
        415,
        "InputError",
        "gzip",
        gzip.compress(GOOD),
        headers={"content-encoding": "gzip"},
    ),
    Case(
        "accept",
        406,
        "InputError",
        "'text/html'",
        headers={"accept": "text/html"},
        valid=[JSON, ARROW],
    ),
    # Arrow
    Case("no Arrow", 400, "InputError", "not an Arrow IPC stream", b"{}", **SHARED),
    Case("empty Arrow", 400, "InputError", "not an Arrow IPC stream", b"", **SHARED),
    Case("cut Arrow", 400, "InputError", "not an Arrow IPC stream", arrow(IDS)[:-100], **SHARED),
    Case("Zstandard", 400, "InputError", "compressed", arrow(IDS, compression="zstd"), **SHARED),
    Case("LZ4", 400, "InputError", "compressed", arrow(IDS, compression="lz4"), **SHARED),
    Case(
        "dictionary",
        400,
        "InputError",
        "dictionaries",
        arrow(pa.table({"id": IDS.column("id").dictionary_encode()})),
        **SHARED,
    ),
    Case(
        "views",
        400,
        "InputError",
        "views",
        arrow(pa.table({"id": IDS.column("id").cast(pa.string_view())})),
        **SHARED,
    ),
    Case(
        "endless nulls",
        400,
        "InputError",
        "2000000000 nulls",
        arrow(pa.table({"id": pa.ListArray.from_arrays([0, 2 * 10**9], pa.nulls(2 * 10**9))})),
        **SHARED,
    ),
    Case(
        "lists of null",
        422,
        "KeyTypeError",
        "must be string",
        arrow(pa.table({"id": [[None]]})),
        **SHARED,
    ),
    Case(
        "struct",
        400,
        "InputError",
        "the column 'id'",
        arrow(pa.table({"id": [{"a": 1}]})),
        **SHARED,
    ),
    Case(
        "one name twice",
        400,
        "InputError",
        "two columns",
        arrow(pa.table([IDS.column("id")] * 2, names=["id", "id"])),
        **SHARED,
    ),
    Case(
        "Arrow of another type",
        422,
        "KeyTypeError",
        "must be string",
        arrow(pa.table({"id": [1]})),
        **SHARED,
    ),
    Case(
        "Arrow of another name",
        422,
        "InputError",
        "takes no 'ids'",
        arrow(pa.table({"ids": ["a"]})),
        valid=["id"],
        **SHARED,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[c.what.replace(" ", "_") for c in CASES])
def test_a_mistake_is_told(served: Served, case: Case):
    headers = dict(case.headers)
    if case.content_type is not None and case.method == "POST":
        headers["content-type"] = case.content_type
    answer = httpx.request(
        case.method,
        served.url + case.path,
        content=case.body if case.method == "POST" else None,
        headers=headers,
        timeout=20,
    )
    assert answer.status_code == case.status, answer.text[:500]
    assert answer.headers["content-type"] == JSON
    error = answer.json()["error"]
    assert error["type"] == case.kind, error
    assert case.says in error["message"]
    assert len(answer.content) < 4_000
    if case.valid is not None:
        assert error["valid"] == sorted(case.valid)
    if case.status == 405:
        assert answer.headers["allow"] == ", ".join(case.valid or [])
    assert served.server.status("/readyz") == 200


def test_what_is_unusual_but_right_is_answered(served: Served):
    long_key = "k" * 1_000_000
    for service in ("plain", "everything"):  # one view, and several
        url = f"{served.url}/features/{service}"
        answer = httpx.post(url, json={"rows": {"id": ["a", long_key]}}, timeout=20)
        assert answer.status_code == 200
        first, *_ = answer.json()["statuses"].values()
        assert first == ["PRESENT", "MISSING"]
    url = f"{served.url}/features/plain"
    for headers in (
        {"content-type": "Application/JSON; charset=utf-8"},
        {"accept": "text/html, */*;q=0.1"},
        {"accept": "application/*"},
        {"content-encoding": "identity"},
    ):
        assert httpx.post(url, content=GOOD, headers=headers).status_code == 200, headers
    assert len(httpx.post(url, json={"rows": {"id": ["a"] * 10_000}}).json()["statuses"]) == 6
    assert httpx.post(url, json={"rows": []}).json()["features"]["numbers__n_f64"] == []


def test_a_body_in_chunks_is_read_and_limited(served: Served):
    url = f"{served.url}/features/plain"
    answer = httpx.post(url, content=iter([b'{"rows": ', b'{"id": ["a"]}', b"}"]))
    assert answer.status_code == 200
    answer = httpx.post(url, content=(b" " * 100_000 for _ in range(30)), timeout=20)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "LimitError")


def test_head_is_get_without_a_body(served: Served):
    whole, head = (getattr(httpx, m)(f"{served.url}/services") for m in ("get", "head"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /features/plain HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /features/plain HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nshort",
        b"POST /features/plain HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 600_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["garbage", "negative", "cut", "chunks", "path"],
)
def test_what_is_not_http_harms_nobody(served: Served, sent: bytes):
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=10) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            got = connection.recv(65_536)
        except OSError:  # it hung up before all was sent
            got = b""
    assert not got or not got.startswith((b"HTTP/1.1 5", b"HTTP/1.1 2"))
    assert served.server.status("/readyz") == 200


NOON = datetime(2024, 1, 1, tzinfo=UTC)
BAD_ROWS: list[tuple[str, Any]] = [
    ("plane", {"id": ["a"]}),
    ("../services", {"id": ["a"]}),
    ("plain?x=1", {"id": ["a"]}),
    ("plain", {"id": [1]}),
    ("plain", {"id": [b"a"]}),
    ("plain", {"id": ["a", b"a"]}),
    ("plain", {"id": ["a", 1]}),
    ("plain", {"id": [2**70]}),
    ("plain", {"id": ["\ud800"]}),
    ("plain", {"id": [["a"]]}),
    ("plain", {"id": [{"a": 1}]}),
    ("plain", {"id": [object()]}),
    ("plain", {"id": [NOON, date(2024, 1, 1)]}),
    ("plain", {"id": [Decimal(1)]}),
    ("plain", {"id": [float("nan"), "a"]}),
    ("plain", {"id": [float("nan")]}),
    ("judged_items", {"id": [b"a"], **{n: [None] for n in shop.REQUEST}, "parts": [[]]}),
    ("plain", {"id": "a"}),
    ("plain", {"id": {"a"}}),
    ("plain", {"id": None}),
    ("plain", {"ids": ["a"]}),
    ("plain", {}),
    ("plain", "a"),
    ("plain", [1]),
    ("plain", 3),
    ("plain", None),
    ("places", {"row": [True], "place": [1], "id": ["a"]}),
    ("places", {"row": [1, True], "place": [1, 1], "id": ["a", "a"]}),
    ("places", {"row": [1.5], "place": [1], "id": ["a"]}),
    ("places", {"row": [1, 2.5], "place": [1, 1], "id": ["a", "a"]}),
    ("places", {"row": np.array([2**40]), "place": [1], "id": ["a"]}),
    ("places", {"row": [1], "place": [2**63], "id": ["a"]}),
    ("places", {"row": [1, 2], "place": [1], "id": ["a"]}),
    *[
        ("judged_items", {"id": ["a"], **{n: [None] for n in shop.REQUEST}, name: [value]})
        for name, value in [
            ("weight", "1"),
            ("note", 1),
            ("note", "\ud800"),
            ("data", "x"),
            ("when", 1),
            ("when", "2024-01-01"),
            ("on", NOON),
            ("cost", Decimal("1.001")),
            ("parts", ["x"]),
            ("parts", 1.5),
            ("weight", 2**70),
        ]
    ],
]


def test_whole_floats_are_keys_over_http(served: Served) -> None:
    """As in process, in JSON and in Arrow, from one row and from many."""
    whole = {"row": [1, 2], "place": [1, 1], "id": ["a", "b"]}
    floats = whole | {"row": [1.0, 2.0], "place": [1.0, np.float32(1)]}
    expected = served.store.get_online_features("places", whole).to_dict()
    assert served.store.get_online_features("places", floats).to_dict() == expected
    with ns.Client(served.url, timeout_s=20) as client:
        assert client.get_online_features("places", whole).to_dict() == expected
        assert client.get_online_features("places", floats).to_dict() == expected
    one = rows('{"row": [1.0], "place": [1.0], "id": ["a"]}')
    sent = [(one, "application/json"), (arrow(pa.table(floats)), ARROW)]
    for accept in ("application/json", ARROW):
        for body, kind in sent:
            headers = {"content-type": kind, "accept": accept}
            answer = httpx.post(f"{served.url}/features/places", content=body, headers=headers)
            assert answer.status_code == 200, answer.text


def test_a_client_raises_what_the_reader_in_process_raises(served: Served):
    assert isinstance(error_of(served.store, "plain", {"id": ["a"] * 100_001}), LimitError)
    with ns.Client(served.url, timeout_s=20) as client:
        for service, given in BAD_ROWS:
            here, there = (error_of(source, service, given) for source in (served.store, client))
            assert type(there) is type(here), (service, given, here, there)
        assert isinstance(error_of(client, "plain", {"id": ["a"] * 10_001}), LimitError)
        assert "Did you mean 'plain'?" in str(error_of(client, "plane", {"id": ["a"]}))


def error_of(source: Any, service: str, given: Any) -> NoskewError:
    given = dict(given) if isinstance(given, dict) else given
    try:
        made = source.get_online_features(service, given).to_dict()
    except (InputError, NotFoundError) as error:
        return error
    raise AssertionError(f"{source!r} answered {service!r}, {given!r}: {made}")


def test_a_client_tells_when_nobody_answers():
    with ns.Client("http://127.0.0.1:9", attempts=2) as client:
        with pytest.raises(StoreUnavailableError, match="cannot be reached") as caught:
            client.get_online_features("plain", {"id": ["a"]})
        assert caught.value.retryable


def test_bad_keys_are_refused_in_process_too(served: Served):
    with pytest.raises(KeyTypeError, match="lone surrogate"):
        served.store.get_online_features("plain", {"id": ["\ud800"]})
