"""A schema registry for tests: the part of Confluent's HTTP API that readers and writers use."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class RegistryServer:
    """Answers as Confluent's documentation says; what it has is in memory.

    Attributes
    ----------
    asked
        The paths that readers asked for, in order.
    status
        If set, every answer is an error of this status, as of a proxy before it.
    password
        If set, ``user:password`` that is asked for.
    knows_serialized
        Whether it makes descriptors of Protobuf schemas, or ignores that it is asked to.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status: int | None = None
        self.password: str | None = None
        self.knows_serialized = True
        self._schemas: list[dict[str, Any]] = []
        self._subjects: dict[str, list[int]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def register(
        self,
        subject: str,
        schema: Any,
        *,
        kind: str = "AVRO",
        references: Sequence[Mapping[str, Any]] = (),
    ) -> int:
        """The id of a schema: JSON data of Avro, or a serialized file of Protobuf."""
        text = base64.b64encode(schema).decode() if isinstance(schema, bytes) else schema
        text = text if isinstance(text, str) else json.dumps(text)
        # As the real one: Avro is what goes without saying.
        held = {"schema": text, "references": list(references)}
        self._schemas.append(held if kind == "AVRO" else {**held, "schemaType": kind})
        self._subjects.setdefault(subject, []).append(len(self._schemas))
        return len(self._schemas)

    def answer(self, path: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        if self.status is not None:
            return self.status, {}
        wanted = self.password and "Basic " + base64.b64encode(self.password.encode()).decode()
        if wanted and authorization != wanted:
            return 401, {"error_code": 401, "message": "Unauthorized"}
        split = urlsplit(path)
        match [unquote(part) for part in split.path.split("/")]:
            case ["", "schemas", "ids", number] if number.isdecimal():
                return self._schema(int(number), split.query)
            case ["", "subjects", subject, "versions", number] if number.isdecimal():
                versions = self._subjects.get(subject)
                if versions is None:
                    return 404, {"error_code": 40401, "message": "Subject not found."}
                if not 1 <= int(number) <= len(versions):
                    return 404, {"error_code": 40402, "message": "Version not found."}
                return self._schema(versions[int(number) - 1], split.query)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _schema(self, number: int, query: str) -> tuple[int, dict[str, Any]]:
        if not 1 <= number <= len(self._schemas):
            return 404, {"error_code": 40403, "message": "Schema not found"}
        held = self._schemas[number - 1]
        is_asked = parse_qs(query).get("format") == ["serialized"] and self.knows_serialized
        if held.get("schemaType") == "PROTOBUF" and not is_asked:
            return 200, {**held, "schema": 'syntax = "proto3"; message Order {}'}
        return 200, held


@contextmanager
def registry_server() -> Iterator[RegistryServer]:
    """A running registry."""
    server = RegistryServer()
    try:
        yield server
    finally:
        server.close()


def _handler(server: RegistryServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, answer = server.answer(self.path, self.headers.get("Authorization"))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
