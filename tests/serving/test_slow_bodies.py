"""A client that sends its body byte by byte is ended, and keeps nobody else waiting."""

from __future__ import annotations

import http.client
import select
import socket

import httpx
import orjson
import pytest

from tests.serving import shop
from tests.serving.feature_server import FeatureServer, running, write_config

GOOD = b'{"rows": {"id": ["a"]}}'
KNOWN = b"Content-Length: 1000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("impatient")
    write_config(root, sections=["[serve]", "body_timeout_s = 1"])
    shop.filled(root, shop.PLAIN).close()
    with running(root) as server:
        yield server


@pytest.mark.parametrize("path", ["/features/plain", "/get-online-features"])
@pytest.mark.parametrize(
    ("head", "piece"), [(KNOWN, b" "), (CHUNKED, b"1\r\n \r\n")], ids=["known", "chunked"]
)
def test_a_body_byte_by_byte_is_refused_in_time(
    impatient: FeatureServer, path: str, head: bytes, piece: bytes
):
    with (
        socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as connection,
        httpx.Client(base_url=impatient.url) as others,
    ):
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode() + head)
        sent = 0
        while not select.select([connection], [], [], 0.05)[0]:
            connection.sendall(piece)
            sent += 1
            assert sent < 400, "nobody ends it"
            # Others are answered meanwhile.
            assert others.post("/features/plain", content=GOOD).status_code == 200
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        error = orjson.loads(answer.read())["error"]
        assert (answer.status, error["type"]) == (408, "InputError")
        assert "within 1 s" in error["message"]
        assert is_closed(connection)
    assert sent > 1
    assert "Traceback" not in impatient.log


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side closes the connection; TimeoutError if it does nothing."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_client_that_hangs_up_is_no_fault_of_the_server(impatient: FeatureServer):
    for head in (KNOWN, CHUNKED):
        with socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as connection:
            connection.sendall(b"POST /features/plain HTTP/1.1\r\nHost: x\r\n" + head)
    assert impatient.status("/readyz") == 200
    assert "Traceback" not in impatient.log
