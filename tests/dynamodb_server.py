"""A DynamoDB for tests: dynoxide, which ``make services`` builds, else moto's; and its faults."""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.servers import _directory, _Process, _started, free_port

#: As in scripts/dynamodb_server.sh.
_VERSION = "3.2.0"
#: Neither server looks at them.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def _dynoxide() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "noskew-dynamodb" / _VERSION / "bin" / "dynoxide"


def is_moto() -> bool:
    """Whether tests run against moto's server, for want of the other."""
    return not _dynoxide().exists()


class DynamoDbServer(_Process):
    """A DynamoDB that keeps its tables in memory."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, table: str) -> str:
        """The address of a table."""
        return f"dynamodb://{table}?region=eu-west-1&endpoint={self.endpoint}"

    def start(self) -> None:
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        command = [str(_dynoxide()), "serve", "--log", "quiet", *where]
        if is_moto():
            command = [sys.executable, "-m", "moto.server", *where]
        self._launch(command)
        self._await(self._answers)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint, timeout=10).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


@contextmanager
def dynamodb_server() -> Iterator[DynamoDbServer]:
    """A running DynamoDB."""
    with _directory("dynamodb") as directory:
        server = _started(lambda: DynamoDbServer(free_port(), directory))
        try:
            yield server
        finally:
            server.stop()


class Faults:
    """A server before another that does to some requests what DynamoDB may do to any.

    Neither server throttles on its own. ``share`` of the requests are refused by a code at
    random; of the keys of a BatchGetItem the same share is left unprocessed.
    """

    CODES = (
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
    )

    def __init__(self, behind: str, seed: int = 0) -> None:
        self.share = 0.0
        #: Every request is refused with this status and code, if there is one.
        self.always: tuple[int, str, str] | None = None
        #: So many answers are lost after the request was done.
        self.lost = 0
        self.refused = self.unprocessed = 0
        self.operations: list[str] = []
        self._behind, self._random, self._lock = behind, random.Random(seed), threading.Lock()
        faults = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer = faults.answer(self.headers["x-amz-target"], body)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Faults]:
        serving = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            serving.join()

    def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        operation = target.partition(".")[2]
        with self._lock:
            self.operations.append(operation)
            code = self._random.choice(self.CODES) if self._is_hit() else None
        if self.always is not None:
            return self.always[0], _error(*self.always[1:])
        if code is not None:
            self.refused += 1
            return 500 if code == "InternalServerError" else 400, _error(code, "slow down")
        left: dict[str, Any] = {}
        if operation == "BatchGetItem" and self.share:
            body, left = self._split(body)
        status, answer = self._forward(target, body)
        with self._lock:
            if self.lost:
                self.lost -= 1
                return 0, b""
        if left:
            self.unprocessed += 1
            answer = json.dumps({**json.loads(answer), "UnprocessedKeys": left}).encode()
        return status, answer

    def _is_hit(self) -> bool:
        return self._random.random() < self.share

    def _split(self, body: bytes) -> tuple[bytes, dict[str, Any]]:
        request = json.loads(body)
        ((table, asked),) = request["RequestItems"].items()
        with self._lock:
            left = [key for key in asked["Keys"] if self._is_hit()]
        if not left or len(left) == len(asked["Keys"]):
            return body, {}
        kept = [key for key in asked["Keys"] if key not in left]
        request["RequestItems"] = {table: {**asked, "Keys": kept}}
        return json.dumps(request).encode(), {table: {**asked, "Keys": left}}

    def _forward(self, target: str, body: bytes) -> tuple[int, bytes]:
        headers = {
            "x-amz-target": target,
            "content-type": "application/x-amz-json-1.0",
            "authorization": "AWS4-HMAC-SHA256 Credential=tests/20260101/eu-west-1/dynamodb/"
            "aws4_request, SignedHeaders=host;x-amz-date, Signature=0",
            "x-amz-date": "20260101T000000Z",
        }
        request = urllib.request.Request(self._behind, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def _error(code: str, text: str) -> bytes:
    return json.dumps(
        {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": text}
    ).encode()


@contextmanager
def faulty(server: DynamoDbServer, seed: int = 0) -> Iterator[Faults]:
    """A server before ``server`` that refuses nothing until it is told to."""
    with Faults(server.endpoint, seed).running() as faults:
        yield faults
